"""Sums that explain an amount."""

from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.matching import amounts


@given(st.lists(st.integers(1, 60), min_size=2, max_size=9), st.integers(2, 200))
def test_the_search_agrees_with_trying_everything(dues: list[int], target: int) -> None:
    every = [
        places
        for size in range(2, amounts.MAX_PARTS + 1)
        for places in combinations(range(len(dues)), size)
        if sum(dues[place] for place in places) == target
    ]

    found = amounts.subsets(dues, target)

    assert set(found) <= set(every)
    assert len(found) == min(len(every), amounts.MAX_SOLUTIONS) or len(found) == amounts.MAX_SOLUTIONS
    assert bool(found) == bool(every)


def test_five_invoices_are_found_and_six_are_not() -> None:
    dues = [1, 2, 4, 8, 16, 32]

    assert amounts.subsets(dues, 31) == [(0, 1, 2, 3, 4)]
    assert amounts.subsets(dues, 63) == []


def test_only_the_oldest_are_searched_so_that_a_long_book_costs_no_more() -> None:
    dues = [1000 + 2**place for place in range(amounts.MAX_SEARCHED)]

    assert amounts.subsets([*dues, 5, 6], 11) == []


@pytest.mark.parametrize(
    ("terms", "discount"),
    [
        ("2/10 net 30", (Decimal(2), 10)),
        ("2% / 10 days, net 30", (Decimal(2), 10)),
        ("1,5 % within 14 days", (Decimal("1.5"), 14)),
        ("net 30", None),
        ("30 days", None),
        (None, None),
        ("50/10", None),
    ],
)
def test_the_discount_is_read_from_the_terms(terms: str | None, discount: tuple[Decimal, int] | None) -> None:
    assert amounts.early_payment_discount(terms) == discount


def test_a_discounted_amount_is_rounded_half_up() -> None:
    assert amounts.discounted(12345, Decimal(2)) == 12098
    assert amounts.discounted(25, Decimal(2)) == 25
