"""Events in: all subscriptions of the notifier; a customer's end touches every subject."""

from services.notifier.communications import consumers as communications
from services.notifier.communications import store as mails
from services.notifier.dunning import actions as dunning
from services.notifier.recipients import store as recipients
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def forget_customer(conn: Conn, event: Event) -> None:
    """Remove a customer and all that belongs to it."""
    await mails.forget_customer(conn, event.tenant_id, event.subject)
    await dunning.forget_customer(conn, event.tenant_id, event.subject)
    await recipients.remove_customer(conn, event.tenant_id, event.subject, now=clock.now())


SUBSCRIPTIONS = (*communications.SUBSCRIPTIONS, Subscription("customer.deleted", forget_customer))
