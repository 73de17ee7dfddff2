"""Events that payment plans follow."""

from services.invoices.plans import actions, store
from services.invoices.settlement import actions as settlement
from shared.clock import now
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def review_plan(conn: Conn, event: Event) -> None:
    """An invoice that is settled may complete its plan."""
    plan_id = await store.active_plan_of(conn, event.tenant_id, event.subject)
    if plan_id is not None:
        moment = await settlement.moment(conn, event.tenant_id, now())
        await actions.review(conn, event.tenant_id, plan_id, moment=moment)


async def forget_customer(conn: Conn, event: Event) -> None:
    """A deleted customer's payment plans go with it."""
    await store.delete_of_customer(conn, event.tenant_id, event.subject)


SUBSCRIPTIONS = (
    Subscription(("invoice.paid", "invoice.voided"), review_plan),
    Subscription("customer.deleted", forget_customer),
)
