"""Which status follows from the facts, in the order of docs/accounting.md."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.settlement.errors import MoneyApplied
from services.invoices.settlement.model import Receivable, balanced, is_overdue, is_partially_paid

TODAY = date(2026, 3, 10)
NOW = datetime(2026, 3, 10, tzinfo=UTC)


def an_invoice(**fields: Any) -> Receivable:
    values: dict[str, Any] = {
        "tenant_id": uuid4(),
        "id": uuid4(),
        "version": 1,
        "invoice_number": "INV-2026-0001",
        "customer_id": uuid4(),
        "customer_name": "Ada Ltd",
        "customer_address": None,
        "currency": "USD",
        "issue_date": TODAY,
        "due_date": TODAY + timedelta(days=30),
        "status": "pending",
        "by_lines": False,
        "subtotal_cents": 10_000,
        "amount_cents": 10_000,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return balanced(Receivable(**(values | fields)), TODAY)


LATE = TODAY - timedelta(days=1)


def test_an_invoice_with_nothing_on_it_is_pending() -> None:
    assert an_invoice().status == "pending"


def test_something_paid_makes_it_partial() -> None:
    for fact in ("matched_cents", "external_payment_cents", "credited_cents"):
        assert an_invoice(**{fact: 1}).status == "partial"


def test_a_write_off_of_some_of_it_is_not_a_payment() -> None:
    assert an_invoice(written_off_cents=1).status == "pending"


def test_nothing_due_makes_it_paid_whatever_else_holds() -> None:
    invoice = an_invoice(matched_cents=10_000, disputed=True, in_plan=True, hand_status="in_dispute", due_date=LATE)

    assert invoice.status == "paid"


def test_a_dispute_comes_before_a_plan_and_a_plan_before_overdue() -> None:
    assert an_invoice(disputed=True, in_plan=True, due_date=LATE).status == "in_dispute"
    assert an_invoice(in_plan=True, due_date=LATE).status == "in_payment_plan"


def test_a_status_set_by_hand_counts_like_a_dispute_or_a_plan() -> None:
    assert an_invoice(hand_status="in_dispute", due_date=LATE).status == "in_dispute"
    assert an_invoice(hand_status="in_payment_plan", due_date=LATE).status == "in_payment_plan"


def test_overdue_comes_before_partial() -> None:
    assert an_invoice(due_date=LATE, matched_cents=1).status == "overdue"


def test_due_today_is_not_overdue() -> None:
    invoice = an_invoice(due_date=TODAY)

    assert invoice.status == "pending"
    assert not is_overdue(invoice, TODAY)


def test_a_draft_and_a_cancelled_invoice_stay_what_they_are() -> None:
    for status in ("draft", "cancelled"):
        invoice = an_invoice(status=status, due_date=LATE, external_payment_cents=10_000)
        assert invoice.status == status
        assert not is_overdue(invoice, TODAY)


def test_a_pinned_status_stays_as_it_was_set() -> None:
    assert an_invoice(status="pending", status_pinned=True, due_date=LATE).status == "pending"


def test_overdue_and_partially_paid_are_told_whatever_the_status() -> None:
    invoice = an_invoice(disputed=True, due_date=LATE, matched_cents=1)

    assert invoice.status == "in_dispute"
    assert is_overdue(invoice, TODAY)
    assert is_partially_paid(invoice)


def test_more_than_the_amount_is_never_on_an_invoice() -> None:
    with pytest.raises(MoneyApplied):
        an_invoice(matched_cents=9_000, external_payment_cents=1_001)


shares = st.integers(min_value=0, max_value=3_000)


@given(shares, shares, shares, shares, st.booleans(), st.booleans(), st.integers(min_value=-5, max_value=5))
def test_the_amounts_always_add_up_and_working_it_out_again_changes_nothing(
    matched: int, external: int, credited: int, lost: int, disputed: bool, planned: bool, days: int
) -> None:
    amount = max(matched + external + credited + lost, 1) + (days % 2)
    invoice = an_invoice(
        amount_cents=amount,
        matched_cents=matched,
        external_payment_cents=external,
        credited_cents=credited,
        written_off_cents=lost,
        disputed=disputed,
        in_plan=planned,
        due_date=TODAY + timedelta(days=days),
    )

    assert invoice.amount_cents == invoice.amount_due_cents + matched + external + credited + lost
    assert (invoice.status == "paid") == (invoice.amount_due_cents == 0)
    assert balanced(invoice, TODAY) == invoice


@given(st.integers(min_value=1, max_value=9_999))
def test_paying_and_taking_it_back_leaves_the_invoice_as_it_was(matched: int) -> None:
    before = an_invoice()

    paid = balanced(msgspec.structs.replace(before, matched_cents=matched), TODAY)

    assert balanced(msgspec.structs.replace(paid, matched_cents=0), TODAY) == before
