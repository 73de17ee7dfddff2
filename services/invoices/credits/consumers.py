"""Events that credit notes follow."""

from services.invoices.credits import store
from shared.clock import now
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def forget_customer(conn: Conn, event: Event) -> None:
    """A deleted customer's credit notes go with it, but for those that still have money left."""
    await store.forget_customer(conn, event.tenant_id, event.subject, now=now())


SUBSCRIPTIONS = (Subscription("customer.deleted", forget_customer),)
