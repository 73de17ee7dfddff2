"""Events that credit notes follow."""

from services.invoices.credits import store
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def forget_customer(conn: Conn, event: Event) -> None:
    """A deleted customer's credit notes go with it; the journal keeps their entries, which name no person."""
    await store.delete_of_customer(conn, event.tenant_id, event.subject)


SUBSCRIPTIONS = (Subscription("customer.deleted", forget_customer),)
