"""Events that cash application lives on: payments that came in, invoices that changed, customers that are gone."""

from collections.abc import Sequence
from uuid import UUID

from services.payments.intake import store as intake_store
from services.payments.matching import actions
from services.payments.matching.owner import SeenInvoice, known_invoice
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def queue_payments(conn: Conn, events: Sequence[Event]) -> None:
    """Have new payments examined, in the order in which they came."""
    for tenant_id, some in by_tenant(events).items():
        arrived = await intake_store.find(conn, tenant_id, [event.subject for event in some])
        await actions.wait(conn, tenant_id, arrived, queued_at=clock.now())


async def remember_invoices(conn: Conn, events: Sequence[Event]) -> None:
    """Keep our copy of the invoices, the newest state of each."""
    seen = {tenant_id: [event.decode(SeenInvoice) for event in some] for tenant_id, some in by_tenant(events).items()}
    told = {tenant_id: [known_invoice(invoice) for invoice in some] for tenant_id, some in seen.items()}
    await actions.remember_all(conn, told, now=clock.now())
    for tenant_id, some in seen.items():
        for invoice in some:
            if invoice.status == "cancelled" and invoice.payments is not None:  # nothing leads back from there
                standing = frozenset(payment.allocation_id for payment in invoice.payments)
                await actions.drop_unapplied(conn, tenant_id, invoice.id, standing, now=clock.now())


async def forget_customer(conn: Conn, event: Event) -> None:
    """The customer was deleted."""
    await actions.forget_customer(conn, event.tenant_id, event.subject)


def by_tenant(events: Sequence[Event]) -> dict[UUID, list[Event]]:
    """The events of each tenant, tenants in the order of their ids, so that two replicas lock in the same order."""
    found: dict[UUID, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.tenant_id):
        found.setdefault(event.tenant_id, []).append(event)
    return found


SUBSCRIPTIONS = (
    Subscription("customer.deleted", forget_customer),
    Subscription("invoice.*", remember_invoices, batch=True),
    Subscription("payment.created", queue_payments, batch=True),
)
