"""What can be done with credit notes, inside the caller's transaction."""

from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec

from services.invoices.credits import events, model, store
from services.invoices.credits.errors import CreditNoteUnknown
from services.invoices.credits.events import CreditNote
from services.invoices.credits.model import Allocation, Credit, CreditedInvoice, LineShare
from services.invoices.credits.store import NewNote
from services.invoices.ledger import actions as ledger
from services.invoices.ledger import model as entries
from services.invoices.ledger.model import Movement
from services.invoices.numbering import store as numbering
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.model import Moment, Receivable
from shared import outbox
from shared.db import Conn
from shared.ids import uuid7

PREFIX = "CN"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a credit note is to take back: an amount, or lines, or neither for all that is left."""

    reason: str
    amount_cents: int | None = None
    lines: Sequence[LineShare] = ()
    dispute_id: UUID | None = None


async def get(conn: Conn, tenant_id: UUID, note_id: UUID) -> CreditNote:
    """One credit note."""
    note = await store.find(conn, tenant_id, note_id)
    if note is None:
        raise CreditNoteUnknown(credit_note_id=note_id)
    return note


async def credit(
    conn: Conn, tenant_id: UUID, invoice_id: UUID, wish: Wish, *, actor: str | None, moment: Moment
) -> CreditNote:
    """Make a credit note against an invoice; what exceeds the amount due becomes the customer's unapplied credit."""
    invoice = await settlement.lock_one(conn, tenant_id, invoice_id)
    model.refuse_uncreditable(invoice)
    taken = await store.taken(conn, tenant_id, invoice_id)
    credited = _wished(model.creditable(invoice, taken), wish)
    applied_cents = min(credited.total_cents, invoice.amount_due_cents)
    note_id = uuid7()
    await ledger.post(conn, tenant_id, _entry(invoice, note_id, credited, moment), now=moment.now)
    await _settle(conn, invoice, applied_cents, moment)
    number = await numbering.next_number(conn, tenant_id, "credit_note", prefix=PREFIX, year=moment.today.year)
    await store.insert(
        conn,
        tenant_id,
        NewNote(
            id=note_id,
            credit_note_number=number,
            invoice_id=invoice_id,
            customer_id=invoice.customer_id,
            currency=invoice.currency,
            reason=wish.reason,
            credit_date=moment.today,
            credit=credited,
            applied_cents=applied_cents,
            dispute_id=wish.dispute_id,
            created_by=actor,
            created_at=moment.now,
        ),
    )
    await _record(conn, tenant_id, note_id, Allocation(invoice_id=invoice_id, amount_cents=applied_cents), moment)
    note = await get(conn, tenant_id, note_id)
    await outbox.put(conn, events.created(tenant_id, note))
    return note


def _wished(invoice: CreditedInvoice, wish: Wish) -> Credit:
    if wish.amount_cents is not None:
        return model.of_amount(invoice, wish.amount_cents)
    if wish.lines:
        return model.of_lines(invoice, wish.lines)
    return model.whole(invoice)


def _entry(invoice: Receivable, note_id: UUID, credited: Credit, moment: Moment) -> entries.Entry:
    movement = Movement(
        tenant_id=invoice.tenant_id,
        source=store.entry_source(note_id),
        entry_date=moment.today,
        currency=invoice.currency,
        amount_cents=credited.total_cents,
        invoice_id=invoice.id,
    )
    return entries.credit_note_entry(movement, tax_cents=credited.tax_cents, due_cents=invoice.amount_due_cents)


async def _settle(conn: Conn, invoice: Receivable, amount_cents: int, moment: Moment) -> None:
    if amount_cents:
        after = msgspec.structs.replace(invoice, credited_cents=invoice.credited_cents + amount_cents)
        await settlement.settle(conn, invoice, after, moment=moment)


async def _record(conn: Conn, tenant_id: UUID, note_id: UUID, allocation: Allocation, moment: Moment) -> UUID:
    """Remember what of the note is on which invoice; nothing where nothing of it is."""
    application_id = uuid7()
    if allocation.amount_cents:
        await store.insert_application(
            conn,
            tenant_id,
            application_id=application_id,
            note_id=note_id,
            invoice_id=allocation.invoice_id,
            amount_cents=allocation.amount_cents,
            now=moment.now,
        )
    return application_id


async def apply(
    conn: Conn, tenant_id: UUID, note_id: UUID, allocations: Sequence[Allocation], *, moment: Moment
) -> CreditNote:
    """Put what a credit note has left on other open invoices of its customer."""
    invoices = await settlement.lock(conn, tenant_id, [allocation.invoice_id for allocation in allocations])
    note = await store.lock(conn, tenant_id, note_id)
    if note is None:
        raise CreditNoteUnknown(credit_note_id=note_id)
    _refuse_unknown(allocations, invoices.keys())
    model.refuse_allocations(note, allocations, invoices)
    for allocation in allocations:
        await _apply(conn, note_id, allocation, invoices[allocation.invoice_id], moment)
    total_cents = sum(allocation.amount_cents for allocation in allocations)
    await store.take(conn, tenant_id, note_id, total_cents, now=moment.now)
    return await get(conn, tenant_id, note_id)


def _refuse_unknown(allocations: Sequence[Allocation], known: Collection[UUID]) -> None:
    for i, allocation in enumerate(allocations):
        if allocation.invoice_id not in known:
            raise InvoiceUnknown(invoice_id=allocation.invoice_id, field=f"allocations[{i}].invoice_id")


async def _apply(conn: Conn, note_id: UUID, allocation: Allocation, invoice: Receivable, moment: Moment) -> None:
    application_id = await _record(conn, invoice.tenant_id, note_id, allocation, moment)
    movement = Movement(
        tenant_id=invoice.tenant_id,
        source=f"credit_application:{application_id}",
        entry_date=moment.today,
        currency=invoice.currency,
        amount_cents=allocation.amount_cents,
        invoice_id=invoice.id,
    )
    await ledger.post(conn, invoice.tenant_id, entries.credit_application_entry(movement), now=moment.now)
    await _settle(conn, invoice, allocation.amount_cents, moment)
