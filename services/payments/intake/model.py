"""A payment and what became of it. Pure; amounts are integer cents."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec

from services.payments.intake import errors
from shared.money import major

Source = Literal["api", "import", "recorded"]
Status = Literal["unmatched", "partially_matched", "matched"]
MatchStatus = Literal["none", "pending", "applied"]


class State(StrEnum):
    """Where an allocation stands between us and the invoices service."""

    PENDING = "pending"
    APPLIED = "applied"
    REFUSED = "refused"
    REVERSING = "reversing"
    REVERSED = "reversed"


STANDING = (State.PENDING, State.APPLIED, State.REVERSING)
"""States in which the money is, or may be, on the invoice."""


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """So much of a payment for one invoice: asked for, and what the invoices service made of it."""

    id: UUID
    payment_id: UUID
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID | None
    amount_cents: int
    applied_cents: int = 0
    write_off_cents: int = 0
    exact: bool
    state: State
    matched_by: str
    rule: str | None = None
    confidence: float | None = None
    evidence: Sequence[str] = ()
    invoice_due_cents: int | None = None
    refusal_code: str | None = None
    refusal_detail: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def held_cents(self) -> int:
        """How much of the payment this holds: what is applied, or may come to be."""
        if self.state in (State.PENDING, State.REVERSING):
            return self.applied_cents or self.amount_cents
        return self.applied_cents if self.state is State.APPLIED else 0


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that came in."""

    id: UUID
    version: int
    amount_cents: int
    applied_cents: int
    reserved_cents: int
    reversing: bool
    refunded_cents: int
    currency: str
    payment_date: date
    payment_method: str | None
    payer_name: str | None
    payer_reference: str | None
    external_payment_id: str
    notes: str | None
    customer_id: UUID | None
    deposit_account_id: UUID | None
    reviewed: bool
    source: Source
    created_by: str
    created_at: datetime
    updated_at: datetime
    allocations: tuple[Allocation, ...] = ()

    @property
    def unapplied_cents(self) -> int:
        """What no invoice has confirmed."""
        return self.amount_cents - self.refunded_cents - self.applied_cents

    @property
    def free_cents(self) -> int:
        """What may be promised: neither applied, nor asked for, nor paid back."""
        return self.unapplied_cents - self.reserved_cents

    @property
    def status(self) -> Status:
        if self.applied_cents == 0:
            return "unmatched"
        return "matched" if self.unapplied_cents == 0 else "partially_matched"

    @property
    def match_status(self) -> MatchStatus:
        """`pending` until the invoices service has answered everything that it was asked."""
        if self.reserved_cents or self.reversing:
            return "pending"
        return "applied" if self.applied_cents else "none"

    @property
    def standing(self) -> tuple[Allocation, ...]:
        return tuple(allocation for allocation in self.allocations if allocation.state in STANDING)

    @property
    def text(self) -> str:
        """All that the payer wrote, for matching."""
        return " ".join(part for part in (self.payer_reference, self.notes) if part)


def refundable(payment: Payment, amount_cents: int | None) -> int:
    """How much is paid back; raises where less is free."""
    amount = payment.free_cents if amount_cents is None else amount_cents
    if payment.free_cents == 0:
        raise errors.NothingUnapplied
    if amount > payment.free_cents:
        raise errors.RefundExceedsUnapplied(unapplied=major(payment.free_cents), field="amount")
    return amount
