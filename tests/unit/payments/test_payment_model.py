"""What a payment adds up to, and what may be paid back."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from services.payments.intake import errors, events, model
from services.payments.intake.model import Allocation, Payment, State
from tests.unit.payments.builders import an_id

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def a_payment(**fields: object) -> Payment:
    payment = Payment(
        id=an_id("payment"),
        version=1,
        amount_cents=10000,
        applied_cents=0,
        reserved_cents=0,
        reversing=False,
        refunded_cents=0,
        currency="USD",
        payment_date=date(2026, 11, 20),
        payment_method=None,
        payer_name=None,
        payer_reference=None,
        external_payment_id="x",
        notes=None,
        customer_id=None,
        deposit_account_id=None,
        reviewed=False,
        source="api",
        created_by="key:1",
        created_at=NOW,
        updated_at=NOW,
    )
    return msgspec.structs.replace(payment, **fields)


def an_allocation(state: State, **fields: object) -> Allocation:
    allocation = Allocation(
        id=an_id(state),
        payment_id=an_id("payment"),
        invoice_id=an_id("invoice"),
        invoice_number="INV-1",
        customer_id=None,
        amount_cents=6000,
        exact=True,
        state=state,
        matched_by="cash_application",
        created_at=NOW,
        updated_at=NOW,
    )
    return msgspec.structs.replace(allocation, **fields)


@pytest.mark.parametrize(
    ("fields", "status", "match_status"),
    [
        ({}, "unmatched", "none"),
        ({"reserved_cents": 6000}, "unmatched", "pending"),
        ({"applied_cents": 6000}, "partially_matched", "applied"),
        ({"applied_cents": 6000, "reversing": True}, "partially_matched", "pending"),
        ({"applied_cents": 10000}, "matched", "applied"),
        ({"applied_cents": 6000, "refunded_cents": 4000}, "matched", "applied"),
        ({"refunded_cents": 10000}, "unmatched", "none"),
    ],
)
def test_the_status_follows_from_the_money(fields: dict[str, object], status: str, match_status: str) -> None:
    payment = a_payment(**fields)

    assert (payment.status, payment.match_status) == (status, match_status)


def test_money_that_is_asked_for_is_unapplied_but_not_free() -> None:
    payment = a_payment(reserved_cents=6000)

    assert (payment.unapplied_cents, payment.free_cents) == (10000, 4000)


def test_all_that_is_free_is_paid_back_unless_less_is_asked_for() -> None:
    payment = a_payment(applied_cents=2000, reserved_cents=3000)

    assert model.refundable(payment, None) == 5000
    assert model.refundable(payment, 1) == 1
    with pytest.raises(errors.RefundExceedsUnapplied):
        model.refundable(payment, 5001)
    with pytest.raises(errors.NothingUnapplied):
        model.refundable(a_payment(applied_cents=10000), None)


@pytest.mark.parametrize(
    ("allocation", "held"),
    [
        (an_allocation(State.PENDING), 6000),
        (an_allocation(State.APPLIED, applied_cents=4000), 4000),
        (an_allocation(State.REVERSING, applied_cents=4000), 4000),
        (an_allocation(State.REVERSED, applied_cents=4000), 0),
        (an_allocation(State.REFUSED), 0),
    ],
)
def test_an_allocation_holds_what_is_or_may_come_to_be_applied(allocation: Allocation, held: int) -> None:
    assert allocation.held_cents == held


def test_the_public_shape_shows_only_what_stands() -> None:
    payment = a_payment(allocations=tuple(an_allocation(state) for state in State))

    shown = events.payment(payment)

    assert isinstance(shown.allocations, list)
    assert {allocation.status for allocation in shown.allocations} == {"pending", "applied", "reversing"}


def test_a_list_leaves_out_the_allocations() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(events.payment(a_payment(), whole=False)))

    assert "allocations" not in shown
