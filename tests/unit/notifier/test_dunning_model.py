"""Which reminder is due, for whom, and how one flood is never made of many missed days."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.dunning.model import (
    LOOK_BACK_DAYS,
    Account,
    Contact,
    LateFee,
    Open,
    Schedule,
    Step,
    addressees,
    due_step,
    fee_cents,
    gather,
    schedule_for,
)

DUE = date(2026, 11, 1)
TEMPLATE = UUID(int=1)


def schedule(*days: int, **fields: Any) -> Schedule:
    steps = tuple(Step(days=day, template_id=TEMPLATE) for day in days)
    plain = Schedule(id=UUID(int=9), is_default=True, tags=frozenset(), customers=frozenset(), steps=steps)
    return msgspec.structs.replace(plain, **fields)


def an_open_invoice(**fields: Any) -> Open:
    plain = Open(
        invoice_id=UUID(int=5), status="overdue", due_date=DUE, due_cents=10000, paused=False, done=frozenset()
    )
    return msgspec.structs.replace(plain, **fields)


USUAL = schedule(-3, 1, 7, 14)


@pytest.mark.parametrize(("days_after_due", "step"), [(-4, None), (-3, -3), (0, -3), (1, 1), (6, 1), (7, 7), (20, 14)])
def test_the_latest_step_that_has_come_is_due(days_after_due: int, step: int | None) -> None:
    due = due_step(USUAL, an_open_invoice(), DUE + timedelta(days=days_after_due))

    assert (due.step.days if due else None) == step


def test_days_of_downtime_bring_one_mail_and_pass_the_rest_over() -> None:
    due = due_step(USUAL, an_open_invoice(), DUE + timedelta(days=15))

    assert due is not None
    assert (due.step.days, due.passed_over) == (14, (-3, 1, 7))


def test_a_step_is_taken_once() -> None:
    assert due_step(USUAL, an_open_invoice(done=frozenset({7})), DUE + timedelta(days=8)) is None


def test_an_invoice_long_overdue_is_not_reminded_for_the_distant_past() -> None:
    assert due_step(USUAL, an_open_invoice(), DUE + timedelta(days=14 + LOOK_BACK_DAYS + 1)) is None


@pytest.mark.parametrize(
    "fields",
    [{"status": status} for status in ("paid", "cancelled", "in_dispute", "in_payment_plan", "draft")]
    + [{"paused": True}, {"due_cents": 0}],
)
def test_what_must_not_be_reminded_is_left_alone(fields: dict[str, Any]) -> None:
    assert due_step(USUAL, an_open_invoice(**fields), DUE + timedelta(days=8)) is None


def test_a_small_rest_waits_for_a_step_that_is_worth_it() -> None:
    steps = (Step(days=1, template_id=TEMPLATE, minimum_cents=50000), Step(days=7, template_id=TEMPLATE))
    rule = schedule(steps=steps)

    assert due_step(rule, an_open_invoice(), DUE + timedelta(days=3)) is None
    assert due_step(rule, an_open_invoice(), DUE + timedelta(days=7)) is not None


@given(visits=st.lists(st.integers(-10, 60), min_size=1, max_size=40))
def test_however_the_clock_is_interrupted_each_step_is_taken_at_most_once_and_in_order(visits: list[int]) -> None:
    done: set[int] = set()
    taken: list[int] = []
    for day in sorted(visits):
        due = due_step(USUAL, an_open_invoice(done=frozenset(done)), DUE + timedelta(days=day))
        if due:
            taken.append(due.step.days)
            done |= {due.step.days, *due.passed_over}

    assert taken == sorted(set(taken))


def test_one_mail_for_all_of_a_customers_invoices_in_the_gravest_words() -> None:
    old, new = (
        an_open_invoice(invoice_id=UUID(int=1)),
        an_open_invoice(invoice_id=UUID(int=2), due_date=DUE + timedelta(6)),
    )
    today = DUE + timedelta(days=7)
    dues = [due for due in (due_step(USUAL, invoice, today) for invoice in (new, old)) if due]

    gravest = gather(dues)

    assert len(dues) == 2
    assert gravest is not None
    assert (gravest.invoice.invoice_id, gravest.step.days) == (UUID(int=1), 7)
    assert gather([]) is None


def test_a_schedule_that_names_the_customer_wins_over_its_tag_and_that_over_the_default() -> None:
    customer = UUID(int=3)
    default = schedule(1, id=UUID(int=10))
    tagged = schedule(2, id=UUID(int=11), is_default=False, tags=frozenset({"vip"}))
    named = schedule(3, id=UUID(int=12), is_default=False, customers=frozenset({customer}))
    account = Account(customer_id=customer, tags=frozenset({"vip"}), paused=False)
    stranger = Account(customer_id=UUID(int=4), tags=frozenset(), paused=False)

    assert schedule_for([default, tagged, named], account) is named
    assert schedule_for([default, tagged], account) is tagged
    assert schedule_for([default, tagged], stranger) is default
    assert schedule_for([tagged, named], stranger) is None


def contact(name: str, level: int = 0, *, primary: bool = False) -> Contact:
    return Contact(
        id=UUID(int=hash(name) & 0xFFFF),
        name=name,
        email=f"{name}@x.example",
        is_primary=primary,
        escalation_level=level,
    )


def test_a_step_addresses_the_contacts_of_its_level_or_the_nearest_below() -> None:
    people = [contact("boss", 2), contact("clerk", 0, primary=True), contact("head", 1)]

    assert [c.name for c in addressees(people, 2, ())] == ["boss"]
    assert [c.name for c in addressees(people, 9, ())] == ["boss"]
    assert [c.name for c in addressees(people, 1, ())] == ["head"]
    assert [c.name for c in addressees(people, 0, ())] == ["clerk"]


def test_who_unsubscribed_is_not_addressed() -> None:
    people = [contact("boss", 2), contact("clerk", 0)]

    assert [c.name for c in addressees(people, 2, {"boss@x.example"})] == ["clerk"]
    assert addressees(people, 2, {"boss@x.example", "clerk@x.example"}) == []


@pytest.mark.parametrize(
    ("fee", "due_cents", "cents"),
    [
        (LateFee(amount_cents=4000), 10000, 4000),
        (LateFee(percent=Decimal("1.5")), 10000, 150),
        (LateFee(percent=Decimal("1.5")), 101, 2),
        (LateFee(amount_cents=500, percent=Decimal(10)), 1005, 601),
        (LateFee(), 10000, 0),
    ],
)
def test_a_late_fee_is_a_fixed_part_and_a_share(fee: LateFee, due_cents: int, cents: int) -> None:
    assert fee_cents(fee, due_cents) == cents
