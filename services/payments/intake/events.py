"""What is announced of payments, in the shape that the API shows them."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.payments.intake import model
from services.payments.intake.model import MatchStatus, Source, State, Status
from shared.events import EventType, NewEvent
from shared.money import major


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """So much of the payment on one invoice."""

    id: UUID
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID | None
    amount: Annotated[Decimal, Meta(description="what is on the invoice; what was asked for while `pending`")]
    write_off_amount: Annotated[Decimal, Meta(description="rest of the invoice that the tolerance let go")]
    status: State
    invoice_amount_due: Annotated[Decimal | None, Meta(description="what was due on the invoice after it")]
    matched_by: Annotated[str, Meta(description="`cash_application`, or the key that asked for it")]
    rule: str | None
    confidence: float | None
    evidence: Sequence[str]
    created_at: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Unapplied money paid back."""

    id: UUID
    amount: Decimal
    date: date
    reason: str | None
    created_at: datetime


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that came in. Lists leave out `allocations` and `refunds`."""

    id: UUID
    amount: Decimal
    currency: str
    payment_date: date
    payment_method: str | None
    payer_name: str | None
    payer_reference: str | None
    external_payment_id: str
    notes: str | None
    customer_id: Annotated[UUID | None, Meta(description="whose invoices it paid, where that is one customer")]
    deposit_account_id: UUID | None
    status: Status
    match_status: Annotated[MatchStatus, Meta(description="`pending` until the invoices service has confirmed")]
    applied_amount: Decimal
    unapplied_amount: Decimal
    refunded_amount: Decimal
    reviewed: bool
    source: Source
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int
    allocations: Sequence[Allocation] | UnsetType = UNSET
    refunds: Sequence[Refund] | UnsetType = UNSET
    refund: Annotated[Refund | UnsetType, Meta(description="the one that `payment.refunded` is about")] = UNSET
    unmatched: Annotated[
        Sequence[Allocation] | UnsetType, Meta(description="what `payment.unmatched` took off invoices")
    ] = UNSET


PAYMENT_CREATED = EventType("payment.created", Payment, "Money came in.")
PAYMENT_MATCHED = EventType("payment.matched", Payment, "Money of a payment was put on invoices.")
PAYMENT_UNMATCHED = EventType("payment.unmatched", Payment, "Money of a payment was taken off invoices.")
PAYMENT_REFUNDED = EventType("payment.refunded", Payment, "Unapplied money of a payment was paid back.")
EVENTS = (PAYMENT_CREATED, PAYMENT_MATCHED, PAYMENT_UNMATCHED, PAYMENT_REFUNDED)


def payment(record: model.Payment, refunds: Sequence[Refund] | UnsetType = UNSET, *, whole: bool = True) -> Payment:
    """The public shape of a payment; `whole` with its allocations."""
    return Payment(
        id=record.id,
        amount=major(record.amount_cents),
        currency=record.currency,
        payment_date=record.payment_date,
        payment_method=record.payment_method,
        payer_name=record.payer_name,
        payer_reference=record.payer_reference,
        external_payment_id=record.external_payment_id,
        notes=record.notes,
        customer_id=record.customer_id,
        deposit_account_id=record.deposit_account_id,
        status=record.status,
        match_status=record.match_status,
        applied_amount=major(record.applied_cents),
        unapplied_amount=major(record.unapplied_cents),
        refunded_amount=major(record.refunded_cents),
        reviewed=record.reviewed,
        source=record.source,
        created_by=record.created_by,
        created_at=record.created_at,
        updated_at=record.updated_at,
        version=record.version,
        allocations=[allocation(one) for one in record.standing] if whole else UNSET,
        refunds=refunds,
    )


def allocation(record: model.Allocation) -> Allocation:
    """The public shape of an allocation that stands, or stood."""
    assert record.state is not State.REFUSED, "a refused allocation is no news to anybody"
    due = record.invoice_due_cents
    return Allocation(
        id=record.id,
        invoice_id=record.invoice_id,
        invoice_number=record.invoice_number,
        customer_id=record.customer_id,
        amount=major(record.applied_cents or record.amount_cents),
        write_off_amount=major(record.write_off_cents),
        status=record.state,
        invoice_amount_due=None if due is None else major(due),
        matched_by=record.matched_by,
        rule=record.rule,
        confidence=record.confidence,
        evidence=record.evidence,
        created_at=record.created_at,
    )


def announce(kind: EventType[Payment], tenant_id: UUID, data: Payment) -> NewEvent:
    """A fact about a payment, with the whole payment in it."""
    return kind.new(tenant_id=tenant_id, subject=data.id, sequence=data.version, data=data)
