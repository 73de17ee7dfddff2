"""What can be done with disputes, inside the caller's transaction."""

from uuid import UUID

import msgspec

from services.invoices.credits import actions as credits_
from services.invoices.credits.actions import Wish
from services.invoices.disputes import events, model, store
from services.invoices.disputes.errors import DisputeOpen, DisputeResolved, DisputeUnknown, NothingToDispute
from services.invoices.disputes.events import Dispute
from services.invoices.disputes.model import DisputeStatus, Resolution
from services.invoices.disputes.store import NewDispute
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.model import Moment, Receivable
from shared import outbox
from shared.db import Conn
from shared.ids import uuid7


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer disputes; without an amount all that is due."""

    invoice_id: UUID
    reason: str
    amount_cents: int | None
    notes: str | None


async def get(conn: Conn, tenant_id: UUID, dispute_id: UUID) -> Dispute:
    """One dispute."""
    dispute = await store.find(conn, tenant_id, dispute_id)
    if dispute is None:
        raise DisputeUnknown(dispute_id=dispute_id)
    return dispute


async def open_(conn: Conn, tenant_id: UUID, claim: Claim, *, moment: Moment) -> Dispute:
    """Dispute an invoice; its status says so until the dispute is resolved."""
    invoice = await _lock_invoice(conn, tenant_id, claim.invoice_id)
    amount_cents = await _disputed_cents(conn, invoice, claim)
    dispute_id = uuid7()
    await store.insert(
        conn,
        tenant_id,
        NewDispute(
            id=dispute_id,
            invoice_id=invoice.id,
            customer_id=invoice.customer_id,
            currency=invoice.currency,
            reason=claim.reason,
            amount_cents=amount_cents,
            notes=claim.notes,
            created_at=moment.now,
        ),
    )
    await settlement.settle(conn, invoice, msgspec.structs.replace(invoice, disputed=True), moment=moment)
    dispute = await get(conn, tenant_id, dispute_id)
    await outbox.put(conn, events.announce(events.DISPUTE_CREATED, tenant_id, dispute))
    return dispute


async def _lock_invoice(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Receivable:
    invoices = await settlement.lock(conn, tenant_id, [invoice_id])
    if invoice_id not in invoices:
        raise InvoiceUnknown(invoice_id=invoice_id, field="invoice_id")
    return invoices[invoice_id]


async def _disputed_cents(conn: Conn, invoice: Receivable, claim: Claim) -> int:
    if not invoice.is_open:
        raise NothingToDispute(invoice_id=invoice.id, field="invoice_id")
    if await store.has_open(conn, invoice.tenant_id, invoice.id):
        raise DisputeOpen(invoice_id=invoice.id, field="invoice_id")
    return model.disputed_cents(invoice.id, due_cents=invoice.amount_due_cents, asked_cents=claim.amount_cents)


async def resolve(
    conn: Conn,
    tenant_id: UUID,
    dispute_id: UUID,
    resolution: Resolution,
    *,
    notes: str | None,
    actor: str | None,
    moment: Moment,
) -> Dispute:
    """End a dispute; an upheld one is credited."""
    found = await get(conn, tenant_id, dispute_id)
    await settlement.lock_one(conn, tenant_id, found.invoice_id)  # before the dispute: one order of locks everywhere
    dispute = await store.lock(conn, tenant_id, dispute_id)
    if dispute is None:
        raise DisputeUnknown(dispute_id=dispute_id)
    if dispute.status is DisputeStatus.RESOLVED:
        raise DisputeResolved(resolution=dispute.resolution)
    note_id = await _credit(conn, tenant_id, dispute, actor, moment) if resolution is Resolution.UPHELD else None
    # after the credit: otherwise the invoice would be announced as overdue for the moment in between
    invoice = await settlement.lock_one(conn, tenant_id, dispute.invoice_id)
    await settlement.settle(conn, invoice, msgspec.structs.replace(invoice, disputed=False), moment=moment)
    await store.resolve(conn, tenant_id, dispute_id, resolution, notes=notes, credit_note_id=note_id, now=moment.now)
    resolved = await get(conn, tenant_id, dispute_id)
    await outbox.put(conn, events.announce(events.DISPUTE_RESOLVED, tenant_id, resolved))
    return resolved


async def _credit(conn: Conn, tenant_id: UUID, dispute: Dispute, actor: str | None, moment: Moment) -> UUID:
    wish = Wish(
        reason=f"Dispute upheld: {dispute.reason}", amount_cents=int(dispute.amount * 100), dispute_id=dispute.id
    )
    note = await credits_.credit(conn, tenant_id, dispute.invoice_id, wish, actor=actor, moment=moment)
    return note.id
