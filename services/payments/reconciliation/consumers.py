"""Events that are bookable, from invoices and from our own payments."""

from collections.abc import Sequence
from uuid import UUID

from services.payments.reconciliation import actions, model, store
from services.payments.reconciliation.model import Fact
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def queue_facts(conn: Conn, events: Sequence[Event]) -> None:
    """Queue what is bookable in a batch of events."""
    facts: dict[UUID, list[Fact]] = {}
    for event in events:
        facts.setdefault(event.tenant_id, []).extend(_facts(event))
    await actions.queue(conn, facts, now=clock.now())


def _facts(event: Event) -> list[Fact]:
    if event.type.startswith("invoice."):
        return model.invoice_facts(event.decode(model.SeenInvoice), event.time)
    if event.type == "credit_note.created":
        return [model.credit_note_fact(event.decode(model.SeenCreditNote), event.time)]
    return model.payment_facts(event.decode(model.SeenPayment), event.time)


async def forget_customer(conn: Conn, event: Event) -> None:
    """The customer was deleted."""
    await store.forget_customer(conn, event.tenant_id, event.subject)


BOOKABLE = (
    "invoice.created",
    "invoice.updated",
    "invoice.issued",
    "invoice.voided",
    "credit_note.created",
    "payment.matched",
    "payment.unmatched",
    "payment.refunded",
)
SUBSCRIPTIONS = (
    Subscription("customer.deleted", forget_customer),
    Subscription(BOOKABLE, queue_facts, batch=True),
)
