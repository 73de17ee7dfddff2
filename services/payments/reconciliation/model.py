"""What is bookable in an event: pure functions from what happened to the fact that the accounting system must hear of.

Each fact has a `source`, so that an event heard twice, or two events about one fact, make one change. Amounts are
cents. The journal lines follow the table in docs/accounting.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from shared.money import round_half_up

ChangeType = Literal[
    "invoice_issued",
    "invoice_changed",
    "invoice_voided",
    "payment_applied",
    "payment_unapplied",
    "credit_note_issued",
    "write_off",
    "refund",
]
NEEDS_APPROVAL = ("write_off", "credit_note_issued")

BANK, EXTERNAL, RECEIVABLE, SALES_TAX, UNAPPLIED = "1000", "1090", "1100", "2100", "2200"
REVENUE, DISCOUNTS, ADJUSTMENTS, BAD_DEBT = "4000", "4100", "4300", "6100"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the booking: an account of the standard chart by its code, another by its id."""

    account_code: str | None
    account_id: UUID | None = None
    debit_cents: int = 0
    credit_cents: int = 0


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One bookable fact."""

    source: str
    change_type: ChangeType
    description: str
    currency: str
    amount_before_cents: int
    amount_after_cents: int
    lines: tuple[Line, ...]
    invoice_id: UUID | None = None
    invoice_number: str | None = None
    customer_id: UUID | None = None
    payment_id: UUID | None = None
    credit_note_id: UUID | None = None
    actor: str | None = None
    occurred_at: datetime


# --- what is read of the events; amounts in major units ---------------------------------------------------------------


class BilledLine(msgspec.Struct, frozen=True, kw_only=True):
    account_id: UUID | None = None
    net_amount: Decimal


class SeenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    invoice_number: str | None
    customer_id: UUID
    currency: str
    status: str
    amount: Decimal
    amount_due: Decimal
    discount_amount: Decimal
    tax_amount: Decimal
    adjustment_amount: Decimal
    external_payment_amount: Decimal
    written_off_amount: Decimal
    published_at: datetime | None
    line_items: tuple[BilledLine, ...] = ()
    changes: dict[str, tuple[msgspec.Raw, msgspec.Raw]] = {}


class SeenPosting(msgspec.Struct, frozen=True, kw_only=True):
    account_code: str
    debit: Decimal
    credit: Decimal


class SeenCreditNote(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    credit_note_number: str
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID
    currency: str
    amount: Decimal
    postings: tuple[SeenPosting, ...] = ()
    created_by: str | None = None


class SeenAllocation(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID | None
    amount: Decimal
    write_off_amount: Decimal
    status: str
    invoice_amount_due: Decimal | None
    matched_by: str


class SeenRefund(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    amount: Decimal


class SeenPayment(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    currency: str
    customer_id: UUID | None
    unapplied_amount: Decimal
    created_by: str
    deposit_account_id: UUID | None = None
    allocations: tuple[SeenAllocation, ...] = ()
    unmatched: tuple[SeenAllocation, ...] = ()
    refund: SeenRefund | None = None


# --- invoices ---------------------------------------------------------------------------------------------------------

BILLED = ("amount", "discount_amount", "tax_amount", "adjustment_amount", "external_payment_amount", "line_items")
CHANGEABLE = {*BILLED, "amount_due", "written_off_amount"}
TYPES = {field.name: field.type for field in msgspec.structs.fields(SeenInvoice)}
AccountKey = tuple[str | None, UUID | None]


def invoice_facts(invoice: SeenInvoice, occurred_at: datetime) -> list[Fact]:
    """What is bookable about an invoice after one of its events."""
    if invoice.published_at is None:
        return []
    before = previous(invoice)
    if invoice.status == "cancelled":
        return [_voided(invoice, before, occurred_at)]
    issued = _issued(before if _was_issued(invoice) else invoice, occurred_at)
    facts = [issued]
    if _was_issued(invoice) and invoice.changes.keys() & set(BILLED):
        facts.append(_changed(before, invoice, occurred_at))
    if before.written_off_amount < invoice.written_off_amount and "amount_paid" not in invoice.changes:
        facts.append(_written_off(before, invoice, occurred_at))
    return [fact for fact in facts if fact.lines]


def previous(invoice: SeenInvoice) -> SeenInvoice:
    """The invoice before the change that its event tells of."""
    if not invoice.changes:
        return invoice
    old = {
        name: msgspec.json.decode(pair[0], type=TYPES[name])
        for name, pair in invoice.changes.items()
        if name in CHANGEABLE
    }
    return msgspec.structs.replace(invoice, **old)


def _was_issued(invoice: SeenInvoice) -> bool:
    """Whether the event tells of a change to an invoice that was binding before it."""
    return bool(invoice.changes) and "published_at" not in invoice.changes


def _issued(invoice: SeenInvoice, occurred_at: datetime) -> Fact:
    total = round_half_up(invoice.amount)
    return _about(
        invoice,
        source=f"invoice_issued:{invoice.id}",
        change_type="invoice_issued",
        description=f"Invoice {invoice.invoice_number} issued",
        amount_before_cents=0,
        amount_after_cents=total,
        lines=_lines(_billed(invoice)),
        occurred_at=occurred_at,
    )


def _changed(before: SeenInvoice, after: SeenInvoice, occurred_at: datetime) -> Fact:
    return _about(
        after,
        source=f"invoice_changed:{after.id}:{after.version}",
        change_type="invoice_changed",
        description=f"Invoice {after.invoice_number} changed",
        amount_before_cents=round_half_up(before.amount),
        amount_after_cents=round_half_up(after.amount),
        lines=_lines(_minus(_billed(after), _billed(before))),
        occurred_at=occurred_at,
    )


def _voided(invoice: SeenInvoice, before: SeenInvoice, occurred_at: datetime) -> Fact:
    return _about(
        invoice,
        source=f"invoice_voided:{invoice.id}",
        change_type="invoice_voided",
        description=f"Invoice {invoice.invoice_number} voided",
        amount_before_cents=round_half_up(before.amount),
        amount_after_cents=0,
        lines=_lines(_minus({}, _billed(before))),
        occurred_at=occurred_at,
    )


def _written_off(before: SeenInvoice, after: SeenInvoice, occurred_at: datetime) -> Fact:
    lost = round_half_up(after.written_off_amount - before.written_off_amount)
    return _about(
        after,
        source=f"write_off:{after.id}:{after.version}",
        change_type="write_off",
        description=f"The rest of invoice {after.invoice_number} written off",
        amount_before_cents=round_half_up(before.amount_due),
        amount_after_cents=round_half_up(after.amount_due),
        lines=_lines({(BAD_DEBT, None): lost, (RECEIVABLE, None): -lost}),
        occurred_at=occurred_at,
    )


def _about(
    invoice: SeenInvoice,
    *,
    source: str,
    change_type: ChangeType,
    description: str,
    amount_before_cents: int,
    amount_after_cents: int,
    lines: tuple[Line, ...],
    occurred_at: datetime,
) -> Fact:
    return Fact(
        source=source,
        change_type=change_type,
        description=description,
        currency=invoice.currency,
        amount_before_cents=amount_before_cents,
        amount_after_cents=amount_after_cents,
        lines=lines,
        invoice_id=invoice.id,
        invoice_number=invoice.invoice_number,
        customer_id=invoice.customer_id,
        occurred_at=occurred_at,
    )


def _billed(invoice: SeenInvoice) -> dict[AccountKey, int]:
    """The posting of an issued invoice: debits positive, credits negative."""
    external = round_half_up(invoice.external_payment_amount)
    posting: dict[AccountKey, int] = {
        (RECEIVABLE, None): round_half_up(invoice.amount) - external,
        (EXTERNAL, None): external,
        (DISCOUNTS, None): round_half_up(invoice.discount_amount),
        (SALES_TAX, None): -round_half_up(invoice.tax_amount),
        (ADJUSTMENTS, None): -round_half_up(invoice.adjustment_amount),
    }
    for line in invoice.line_items:
        account: AccountKey = (None, line.account_id) if line.account_id else (REVENUE, None)
        posting[account] = posting.get(account, 0) - round_half_up(line.net_amount)
    open_cents = sum(posting.values())  # an invoice made by its amount alone has no lines
    posting[REVENUE, None] = posting.get((REVENUE, None), 0) - open_cents
    return posting


def _minus(one: Mapping[AccountKey, int], other: Mapping[AccountKey, int]) -> dict[AccountKey, int]:
    return {account: one.get(account, 0) - other.get(account, 0) for account in {**other, **one}}


def _lines(posting: Mapping[AccountKey, int]) -> tuple[Line, ...]:
    """The lines of a posting, debits first, without those that come to nothing."""
    lines = [
        Line(account_code=code, account_id=account_id, debit_cents=max(0, cents), credit_cents=max(0, -cents))
        for (code, account_id), cents in posting.items()
        if cents
    ]
    return tuple(sorted(lines, key=lambda line: -line.debit_cents))


# --- credit notes and payments ----------------------------------------------------------------------------------------


def credit_note_fact(note: SeenCreditNote, occurred_at: datetime) -> Fact:
    """A credit note was issued."""
    return Fact(
        source=f"credit_note_issued:{note.id}",
        change_type="credit_note_issued",
        description=f"Credit note {note.credit_note_number} for invoice {note.invoice_number}",
        currency=note.currency,
        amount_before_cents=0,
        amount_after_cents=round_half_up(note.amount),
        lines=tuple(
            Line(
                account_code=posting.account_code,
                debit_cents=round_half_up(posting.debit),
                credit_cents=round_half_up(posting.credit),
            )
            for posting in note.postings
        ),
        invoice_id=note.invoice_id,
        invoice_number=note.invoice_number,
        customer_id=note.customer_id,
        credit_note_id=note.id,
        actor=note.created_by,
        occurred_at=occurred_at,
    )


def payment_facts(payment: SeenPayment, occurred_at: datetime) -> list[Fact]:
    """What is bookable about a payment after one of its events: all that is applied, taken off or paid back."""
    applied = [allocation for allocation in payment.allocations if allocation.status in ("applied", "reversing")]
    facts = [_allocation_fact(payment, allocation, occurred_at, on=True) for allocation in applied]
    for allocation in payment.unmatched:
        facts.append(_allocation_fact(payment, allocation, occurred_at, on=True))  # had its event been missed
        facts.append(_allocation_fact(payment, allocation, occurred_at, on=False))
    if payment.refund is not None:
        facts.append(_refund_fact(payment, payment.refund, occurred_at))
    return facts


def _allocation_fact(payment: SeenPayment, allocation: SeenAllocation, occurred_at: datetime, *, on: bool) -> Fact:
    paid, lost = round_half_up(allocation.amount), round_half_up(allocation.write_off_amount)
    posting: dict[AccountKey, int] = {(UNAPPLIED, None): paid, (BAD_DEBT, None): lost, (RECEIVABLE, None): -paid - lost}
    due = round_half_up(allocation.invoice_amount_due or Decimal(0))
    change_type: ChangeType = "payment_applied" if on else "payment_unapplied"
    verb = "applied to" if on else "taken off"
    return Fact(
        source=f"{change_type}:{allocation.id}",
        change_type=change_type,
        description=f"Payment {verb} invoice {allocation.invoice_number or allocation.invoice_id}",
        currency=payment.currency,
        amount_before_cents=due + paid + lost if on else max(0, due - paid - lost),
        amount_after_cents=due,
        lines=_lines(posting if on else _minus({}, posting)),
        invoice_id=allocation.invoice_id,
        invoice_number=allocation.invoice_number,
        customer_id=allocation.customer_id,
        payment_id=payment.id,
        actor=allocation.matched_by if on else None,
        occurred_at=occurred_at,
    )


def _refund_fact(payment: SeenPayment, refund: SeenRefund, occurred_at: datetime) -> Fact:
    cents, left = round_half_up(refund.amount), round_half_up(payment.unapplied_amount)
    bank: AccountKey = (None, payment.deposit_account_id) if payment.deposit_account_id else (BANK, None)
    return Fact(
        source=f"refund:{refund.id}",
        change_type="refund",
        description="Unapplied money paid back",
        currency=payment.currency,
        amount_before_cents=left + cents,
        amount_after_cents=left,
        lines=_lines({(UNAPPLIED, None): cents, bank: -cents}),
        customer_id=payment.customer_id,
        payment_id=payment.id,
        occurred_at=occurred_at,
    )


def amount_cents(fact: Fact) -> int:
    """How much the fact moves: the sum of its debits."""
    return sum(line.debit_cents for line in fact.lines)


def waits(fact: Fact, limit_cents: int | None) -> bool:
    """Whether somebody has to approve the fact first: write-offs and credit notes above the tenant's limit."""
    return limit_cents is not None and fact.change_type in NEEDS_APPROVAL and amount_cents(fact) > limit_cents


def distinct(facts: Iterable[Fact]) -> list[Fact]:
    """The first of each source."""
    found: dict[str, Fact] = {}
    for fact in facts:
        found.setdefault(fact.source, fact)
    return list(found.values())


def balances(lines: Sequence[Line]) -> bool:
    """Whether debits and credits are the same."""
    return sum(line.debit_cents - line.credit_cents for line in lines) == 0
