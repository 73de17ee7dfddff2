"""What an allocation is after the invoices service has answered."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from services.payments.intake.model import Allocation, State
from services.payments.matching.command import Result, outcome

AT = datetime(2026, 11, 20, tzinfo=UTC)
PENDING = Allocation(
    id=UUID(int=1),
    payment_id=UUID(int=2),
    invoice_id=UUID(int=3),
    invoice_number="INV-1",
    customer_id=None,
    amount_cents=10000,
    write_off_cents=50,
    exact=True,
    state=State.PENDING,
    matched_by="key:1",
    rule=None,
    confidence=None,
    evidence=(),
    created_at=AT,
    updated_at=AT,
)


def test_a_refusal_says_what_is_due() -> None:
    refusal = Result(
        allocation_id=PENDING.id, status="refused", amount_due_cents=4000, code="allocation_exceeds_due", detail="…"
    )

    refused = outcome(PENDING, refusal)

    assert (refused.state, refused.refusal_code) == (State.REFUSED, "allocation_exceeds_due")
    assert (refused.invoice_due_cents, refused.write_off_cents) == (4000, 0)


def test_what_cannot_be_taken_back_stays_as_it_is() -> None:
    reversing = msgspec.structs.replace(PENDING, state=State.REVERSING, applied_cents=9950, invoice_due_cents=0)

    kept = outcome(reversing, Result(allocation_id=PENDING.id, status="refused", amount_due_cents=0, code="barred"))

    assert kept.state is State.APPLIED
    assert (kept.applied_cents, kept.write_off_cents, kept.invoice_due_cents) == (9950, 50, 0)
