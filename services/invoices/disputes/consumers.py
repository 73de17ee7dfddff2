"""Events that disputes follow."""

from services.invoices.disputes import store
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def forget_customer(conn: Conn, event: Event) -> None:
    """A deleted customer's disputes go with it."""
    await store.delete_of_customer(conn, event.tenant_id, event.subject)


SUBSCRIPTIONS = (Subscription("customer.deleted", forget_customer),)
