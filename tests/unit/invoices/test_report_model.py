"""Reports lose no cent, and put each where it belongs."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.reports import model, sheet
from services.invoices.reports.model import Balance, Month, Posting

TODAY = date(2026, 11, 21)
DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
BALANCES = st.lists(
    st.builds(
        Balance,
        customer_id=st.integers(1, 4).map(lambda n: UUID(int=n)) | st.none(),
        customer_name=st.just("Same name"),
        due_date=DAYS,
        open_cents=st.integers(-1000, 10**9),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("days_late", "name"),
    [
        (-400, "current"),
        (0, "current"),
        (1, "days_1_30"),
        (30, "days_1_30"),
        (31, "days_31_60"),
        (60, "days_31_60"),
        (61, "days_61_90"),
        (90, "days_61_90"),
        (91, "days_over_90"),
        (4000, "days_over_90"),
    ],
)
def test_each_day_late_has_its_bucket(days_late: int, name: str) -> None:
    assert model.BUCKETS[model.bucket(TODAY - timedelta(days_late), as_of=TODAY)] == name


@given(BALANCES, DAYS)
def test_aging_loses_no_cent(balances: list[Balance], as_of: date) -> None:
    customers = model.aging(balances, as_of=as_of)

    assert sum(model.totals(customers)) == sum(balance.open_cents for balance in balances)
    assert sum(customer.total_cents for customer in customers) == sum(model.totals(customers))
    assert len({customer.customer_id for customer in customers}) == len(customers)
    assert all(any(customer.cents) for customer in customers)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(-(10**9), 10**9), max_size=20))
def test_a_statement_ends_at_its_opening_plus_its_movements(opening: int, changes: list[int]) -> None:
    postings = [
        Posting(
            entry_id=UUID(int=i),
            date=TODAY,
            description="",
            kind="issue",
            invoice_id=UUID(int=i),
            invoice_number=None,
            payment_id=None,
            change_cents=change,
        )
        for i, change in enumerate(changes)
    ]

    balances = model.running_balances(opening, postings)

    assert len(balances) == len(changes)
    assert [opening, *balances][-1] == opening + sum(changes)


@given(DAYS)
def test_twelve_months_end_with_today(today: date) -> None:
    months = model.months_until(today)

    assert len(months) == 12
    assert months == sorted(set(months))
    assert all(first.day == 1 for first in months)
    assert model.last_day(months[-1], today=today) == today
    assert all(model.last_day(months[i], today=today) + timedelta(1) == months[i + 1] for i in range(11))


@pytest.mark.parametrize(
    ("receivable", "billed", "days", "expected"),
    [
        (100_00, 300_00, 30, Decimal("10.0")),
        (300_00, 100_00, 31, Decimal("93.0")),
        (1, 3, 31, Decimal("10.3")),
        (0, 0, 30, Decimal("0.0")),
        (0, 100, 30, Decimal("0.0")),
        (100, 0, 30, None),
        (100, -50, 30, None),
    ],
)
def test_days_sales_outstanding(receivable: int, billed: int, days: int, expected: Decimal | None) -> None:
    month = Month(first=date(2026, 11, 1), days=days, receivable_cents=receivable, billed_cents=billed)

    assert model.dso_days(month) == expected


@pytest.mark.parametrize("start", sheet.FORMULA_STARTS)
def test_no_text_is_run_as_a_formula(start: str) -> None:
    text = sheet.written(["name"], [[f"{start}cmd|' /C calc'!A0"]])

    (_, row) = csv.reader(io.StringIO(text, newline=""))
    assert row[0].startswith("'")


def test_blanks_before_a_formula_do_not_hide_it() -> None:
    assert '" =' not in sheet.written(["name"], [["  =1+1"]])
    assert "'  =1+1" in sheet.written(["name"], [["  =1+1"]])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1, max_size=5))
def test_a_sheet_reads_back_as_it_was(cells: list[str]) -> None:
    text = sheet.written(["h"] * len(cells), [cells])

    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [cell.removeprefix("'") for cell in rows[1]] == [cell.removeprefix("'") for cell in cells]


def test_our_own_numbers_stay_numbers() -> None:
    assert sheet.written(["a", "b", "c"], [[Decimal("-5.00"), None, TODAY]]).endswith("-5.00,,2026-11-21\r\n")
