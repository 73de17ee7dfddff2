"""Only what is due can be disputed."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.disputes import model
from services.invoices.disputes.errors import DisputeExceedsDue, NothingToDispute

INVOICE = UUID(int=1)


@given(st.integers(1, 10**12))
def test_all_that_is_due_is_disputed_unless_said_otherwise(due: int) -> None:
    assert model.disputed_cents(INVOICE, due_cents=due, asked_cents=None) == due


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_any_part_of_what_is_due_may_be_disputed_and_no_more(due: int, asked: int) -> None:
    if asked <= due:
        assert model.disputed_cents(INVOICE, due_cents=due, asked_cents=asked) == asked
        return
    with pytest.raises(DisputeExceedsDue) as refused:
        model.disputed_cents(INVOICE, due_cents=due, asked_cents=asked)
    assert refused.value.errors[0].field == "amount"


@pytest.mark.parametrize("asked", [None, 1])
def test_where_nothing_is_due_there_is_nothing_to_dispute(asked: int | None) -> None:
    with pytest.raises(NothingToDispute) as refused:
        model.disputed_cents(INVOICE, due_cents=0, asked_cents=asked)
    assert refused.value.errors[0].field == "invoice_id"
