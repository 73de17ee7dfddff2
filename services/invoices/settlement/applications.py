"""Putting money of payments on invoices and taking it off again: pure (docs/accounting.md, cash application)."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.invoices.ledger.model import Entry, Movement, application_entry, write_off_entry
from services.invoices.settlement.model import Application, Receivable
from shared.money import major


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One allocation of a payment to an invoice, as the payments service asks for it."""

    allocation_id: UUID
    tenant_id: UUID
    payment_id: UUID
    invoice_id: UUID
    amount_cents: int
    currency: str
    payment_date: date
    payment_method: str | None = None
    payer_name: str | None = None
    payer_reference: str | None = None
    exact: bool = False
    write_off_cents: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an allocation; the same answer every time it is asked for."""

    allocation_id: UUID
    status: Literal["applied", "refused", "reversed"]
    applied_cents: int = 0
    write_off_cents: int = 0
    amount_due_cents: int = 0
    code: str | None = None
    detail: str | None = None


def refusal_of(wish: Wish, invoice: Receivable | None) -> Outcome | None:
    """Why money cannot go on an invoice; None when it can."""
    if invoice is None:
        return refused(wish, "invoice_not_found", "There is no such invoice.")
    due = invoice.amount_due_cents
    if not invoice.is_issued:
        detail = f"A {invoice.status} invoice takes no payments."
        return refused(wish, "invoice_not_open", detail, due)
    if invoice.currency != wish.currency:
        detail = f"The invoice is in {invoice.currency}, the payment in {wish.currency}."
        return refused(wish, "currency_mismatch", detail, due)
    if due == 0:
        return refused(wish, "nothing_due", "Nothing is due on this invoice.", due)
    if wish.exact and wish.amount_cents + wish.write_off_cents > due:
        return refused(wish, "allocation_exceeds_due", f"Only {major(due)} is due on this invoice.", due)
    return None


def refused(wish: Wish, code: str, detail: str, amount_due_cents: int = 0) -> Outcome:
    """The refusal of an allocation."""
    return Outcome(
        allocation_id=wish.allocation_id, status="refused", amount_due_cents=amount_due_cents, code=code, detail=detail
    )


def applied(invoice: Receivable, wish: Wish, *, now: datetime) -> tuple[Receivable, Application]:
    """The invoice with the money on it: as much as is due, and what is left of it written off within the tolerance."""
    applied_cents = min(wish.amount_cents, invoice.amount_due_cents)
    write_off_cents = min(wish.write_off_cents, invoice.amount_due_cents - applied_cents)
    application = Application(
        allocation_id=wish.allocation_id,
        payment_id=wish.payment_id,
        applied_cents=applied_cents,
        write_off_cents=write_off_cents,
        payment_date=wish.payment_date,
        payment_method=wish.payment_method,
        payer_name=wish.payer_name,
        payer_reference=wish.payer_reference,
        created_at=now,
    )
    after = msgspec.structs.replace(
        invoice,
        matched_cents=invoice.matched_cents + applied_cents,
        written_off_cents=invoice.written_off_cents + write_off_cents,
        applications=(*invoice.applications, application),
    )
    return after, application


def unapplied(invoice: Receivable, allocation_id: UUID) -> Receivable:
    """The invoice without the money of an allocation."""
    (gone,) = (one for one in invoice.applications if one.allocation_id == allocation_id)
    return msgspec.structs.replace(
        invoice,
        matched_cents=invoice.matched_cents - gone.applied_cents,
        written_off_cents=invoice.written_off_cents - gone.write_off_cents,
        applications=tuple(one for one in invoice.applications if one.allocation_id != allocation_id),
    )


def entries(invoice: Receivable, application: Application) -> list[Entry]:
    """What an application posts, dated when the money came, though not before the invoice."""
    application_id = application.allocation_id
    moved = Movement(
        tenant_id=invoice.tenant_id,
        source=application_source(application_id),
        entry_date=max(application.payment_date, invoice.issue_date),
        currency=invoice.currency,
        amount_cents=application.applied_cents,
        invoice_id=invoice.id,
        payment_id=application.payment_id,
    )
    lost = msgspec.structs.replace(
        moved, source=write_off_source(application_id), amount_cents=application.write_off_cents
    )
    return [
        *([application_entry(moved)] if moved.amount_cents else []),
        *([write_off_entry(lost)] if lost.amount_cents else []),
    ]


def application_source(allocation_id: UUID) -> str:
    """The ledger source of an application."""
    return f"application:{allocation_id}"


def write_off_source(allocation_id: UUID) -> str:
    """The ledger source of the short-pay that came with an application."""
    return f"write_off:application:{allocation_id}"
