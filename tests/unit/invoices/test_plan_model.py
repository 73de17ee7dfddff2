"""Instalments sum exactly, fall on the right days, and decide alone whether a plan is kept."""

from calendar import monthrange
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.plans import model
from services.invoices.plans.errors import InstalmentsDoNotSum, ScheduleTooLate, TooManyInstalments
from services.invoices.plans.model import Frequency, Instalment, PlanStatus

TOTALS = st.integers(1, 999_999_999_999)
COUNTS = st.integers(1, 120)
STARTS = st.dates(date(2000, 1, 1), date(2100, 12, 31))
FREQUENCIES = st.sampled_from(Frequency)


def instalments(*parts: tuple[str, int]) -> tuple[Instalment, ...]:
    return tuple(Instalment(due_date=date.fromisoformat(day), amount_cents=cents) for day, cents in parts)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Instalment, ...]:
    total = draw(TOTALS)
    count = draw(st.integers(1, min(total, 24)))
    return model.scheduled(total, count=count, frequency=draw(FREQUENCIES), start=draw(STARTS))


@given(TOTALS, COUNTS, FREQUENCIES, STARTS)
def test_instalments_sum_exactly_and_differ_by_at_most_a_cent(
    total: int, count: int, frequency: Frequency, start: date
) -> None:
    count = min(count, total)

    plan = model.scheduled(total, count=count, frequency=frequency, start=start)

    amounts = [instalment.amount_cents for instalment in plan]
    assert len(plan) == count
    assert sum(amounts) == total
    assert max(amounts) - min(amounts) <= 1
    assert amounts == sorted(amounts, reverse=True)


@given(schedules())
def test_days_strictly_ascend(plan: tuple[Instalment, ...]) -> None:
    days = [instalment.due_date for instalment in plan]
    assert all(earlier < later for earlier, later in pairwise(days))


@given(STARTS, st.integers(0, 119))
def test_a_month_keeps_the_day_or_takes_its_last_one(start: date, number: int) -> None:
    day = model.due_date(start, Frequency.MONTHLY, number)

    assert (day.year * 12 + day.month) - (start.year * 12 + start.month) == number
    assert day.day == min(start.day, monthrange(day.year, day.month)[1])


def test_the_31st_becomes_the_last_day_and_comes_back() -> None:
    plan = model.scheduled(40000, count=4, frequency=Frequency.MONTHLY, start=date(2026, 1, 31))

    assert [str(instalment.due_date) for instalment in plan] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]


@pytest.mark.parametrize(("frequency", "days"), [(Frequency.WEEKLY, 7), (Frequency.BIWEEKLY, 14)])
def test_weeks_are_exact(frequency: Frequency, days: int) -> None:
    plan = model.scheduled(300, count=3, frequency=frequency, start=date(2026, 12, 28))

    assert [instalment.due_date for instalment in plan] == [date(2026, 12, 28) + timedelta(days * n) for n in range(3)]


def test_odd_cents_go_to_the_first_instalments() -> None:
    plan = model.scheduled(10000, count=3, frequency=Frequency.WEEKLY, start=date(2026, 1, 1))

    assert [instalment.amount_cents for instalment in plan] == [3334, 3333, 3333]


def test_more_instalments_than_cents_are_refused() -> None:
    with pytest.raises(TooManyInstalments) as refused:
        model.scheduled(2, count=3, frequency=Frequency.WEEKLY, start=date(2026, 1, 1))
    assert refused.value.errors[0].field == "count"


@pytest.mark.parametrize("frequency", Frequency)
def test_a_schedule_beyond_the_calendar_is_refused(frequency: Frequency) -> None:
    with pytest.raises(ScheduleTooLate):
        model.scheduled(100, count=2, frequency=frequency, start=date(9999, 12, 31))


def test_given_instalments_are_put_in_order() -> None:
    late, early = instalments(("2026-03-01", 60), ("2026-02-01", 40))

    assert model.given((late, early), due_cents=100) == (early, late)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=10), st.integers(-3, 3).filter(bool))
def test_given_instalments_must_sum_to_what_is_due(amounts: list[int], wrong: int) -> None:
    plan = [Instalment(due_date=date(2026, 1, 1), amount_cents=cents) for cents in amounts]

    assert len(model.given(plan, due_cents=sum(amounts))) == len(amounts)
    with pytest.raises(InstalmentsDoNotSum):
        model.given(plan, due_cents=sum(amounts) + wrong)


@given(schedules(), st.data())
def test_a_plan_is_completed_exactly_when_nothing_is_due(plan: tuple[Instalment, ...], data: st.DataObject) -> None:
    total = sum(instalment.amount_cents for instalment in plan)
    due = data.draw(st.integers(0, total))
    day = data.draw(STARTS)

    assert (model.standing(plan, due_cents=due, today=day) is PlanStatus.COMPLETED) == (due == 0)


@given(schedules(), st.data())
def test_a_plan_that_pays_each_instalment_on_its_day_never_defaults(
    plan: tuple[Instalment, ...], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(plan) - 1))
    due = sum(instalment.amount_cents for instalment in plan[number:])

    assert model.standing(plan, due_cents=due, today=plan[number].due_date) is PlanStatus.ACTIVE
    assert model.standing(plan, due_cents=due, today=plan[number].due_date + timedelta(1)) is PlanStatus.DEFAULTED


def test_a_cent_short_is_late() -> None:
    plan = instalments(("2026-01-01", 50), ("2026-02-01", 50))

    assert model.standing(plan, due_cents=51, today=date(2026, 1, 2)) is PlanStatus.DEFAULTED
    assert model.standing(plan, due_cents=50, today=date(2026, 1, 2)) is PlanStatus.ACTIVE


def test_an_invoice_that_grew_does_not_make_payments_negative() -> None:
    assert model.paid_cents(100, due_cents=130) == 0


@given(schedules(), st.data())
def test_money_fills_the_instalments_in_order(plan: tuple[Instalment, ...], data: st.DataObject) -> None:
    total = sum(instalment.amount_cents for instalment in plan)
    paid = data.draw(st.integers(0, total))

    parts = model.paid_per_instalment(plan, paid_cents=paid)

    assert sum(parts) == paid
    open_parts = [i for i, part in enumerate(parts) if part < plan[i].amount_cents]
    assert all(part == 0 for part in parts[open_parts[0] + 1 :]) if open_parts else paid == total
