"""Instalment arithmetic and when a plan is completed or defaulted (docs/around-invoices.md)."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from itertools import accumulate

import msgspec
from dateutil.relativedelta import relativedelta

from services.invoices.plans.errors import (
    InstalmentsDoNotSum,
    InvoiceInPlan,
    NothingToPlan,
    ScheduleAmbiguous,
    ScheduleMissing,
    ScheduleTooLate,
    SeveralCurrencies,
    SeveralCustomers,
    TooManyInstalments,
)
from services.invoices.settlement.model import Receivable
from shared.money import major, spread


class PlanStatus(StrEnum):
    """`active` is the only one that ends in another."""

    ACTIVE = "active"
    COMPLETED = "completed"
    DEFAULTED = "defaulted"
    CANCELLED = "cancelled"


class Frequency(StrEnum):
    """How far apart the instalments are."""

    WEEKLY = "weekly"
    BIWEEKLY = "biweekly"
    MONTHLY = "monthly"


class Instalment(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a plan and the day by which it must be paid."""

    due_date: date
    amount_cents: int


def scheduled(total_cents: int, *, count: int, frequency: Frequency, start: date) -> tuple[Instalment, ...]:
    """Equal instalments from a start date; odd cents go to the first ones, so they sum exactly to the total."""
    assert count >= 1, count
    if count > total_cents:
        raise TooManyInstalments(count=count, due=major(total_cents), field="count")
    days = [due_date(start, frequency, n) for n in range(count)]
    amounts = spread(total_cents, [1] * count)
    return tuple(Instalment(due_date=day, amount_cents=cents) for day, cents in zip(days, amounts, strict=True))


def due_date(start: date, frequency: Frequency, number: int) -> date:
    """Day of the n-th instalment, from 0; months count from the start, so the 31st stays the month end."""
    try:
        return start + number * STEPS[frequency]
    except (OverflowError, ValueError):
        raise ScheduleTooLate(field="start_date") from None


STEPS = {
    Frequency.WEEKLY: relativedelta(weeks=1),
    Frequency.BIWEEKLY: relativedelta(weeks=2),
    Frequency.MONTHLY: relativedelta(months=1),
}


def given(instalments: Sequence[Instalment], *, due_cents: int) -> tuple[Instalment, ...]:
    """The caller's own instalments in order of their days; they must sum exactly to what is due."""
    total_cents = sum(instalment.amount_cents for instalment in instalments)
    if total_cents != due_cents:
        raise InstalmentsDoNotSum(total=major(total_cents), due=major(due_cents), field="instalments")
    return tuple(sorted(instalments, key=lambda instalment: instalment.due_date))


def paid_cents(total_cents: int, *, due_cents: int) -> int:
    """What the plan has brought in: its total less what is still due on its invoices, whatever way it was settled."""
    return max(0, total_cents - due_cents)


def expected_cents(instalments: Sequence[Instalment], *, today: date) -> int:
    """What must have been paid by now; an instalment that falls due today is not late."""
    return sum(instalment.amount_cents for instalment in instalments if instalment.due_date < today)


def standing(instalments: Sequence[Instalment], *, due_cents: int, today: date) -> PlanStatus:
    """What an active plan has become: completed once nothing is due, defaulted when an instalment is late."""
    total_cents = sum(instalment.amount_cents for instalment in instalments)
    if due_cents == 0:
        return PlanStatus.COMPLETED
    if paid_cents(total_cents, due_cents=due_cents) < expected_cents(instalments, today=today):
        return PlanStatus.DEFAULTED
    return PlanStatus.ACTIVE


def paid_per_instalment(instalments: Sequence[Instalment], *, paid_cents: int) -> list[int]:
    """Money fills the instalments in order: how much of each is paid."""
    before = accumulate((instalment.amount_cents for instalment in instalments[:-1]), initial=0)
    return [
        min(max(paid_cents - earlier, 0), instalment.amount_cents)
        for earlier, instalment in zip(before, instalments, strict=True)
    ]


def refuse_unplannable(invoices: Sequence[Receivable]) -> None:
    """Only open invoices of one customer, in one currency and in no other plan, make a plan."""
    first = invoices[0]
    for i, invoice in enumerate(invoices):
        field = f"invoice_ids[{i}]"
        if not invoice.is_open:
            raise NothingToPlan(invoice_id=invoice.id, field=field)
        if invoice.in_plan:
            raise InvoiceInPlan(invoice_id=invoice.id, field=field)
        if invoice.customer_id != first.customer_id:
            raise SeveralCustomers(invoice_id=invoice.id, field=field)
        if invoice.currency != first.currency:
            raise SeveralCurrencies(invoice_id=invoice.id, currency=invoice.currency, field=field)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How a plan is to be paid: the caller's own instalments, or how many, how far apart and from when."""

    instalments: tuple[Instalment, ...] | None = None
    count: int | None = None
    frequency: Frequency | None = None
    start_date: date | None = None

    def of(self, due_cents: int) -> tuple[Instalment, ...]:
        """The instalments of what is due."""
        regular = (self.count, self.frequency, self.start_date)
        if self.instalments is not None:
            if any(part is not None for part in regular):
                raise ScheduleAmbiguous(field="instalments")
            return given(self.instalments, due_cents=due_cents)
        if self.count is None or self.frequency is None or self.start_date is None:
            raise ScheduleMissing(field=self._first_missing())
        return scheduled(due_cents, count=self.count, frequency=self.frequency, start=self.start_date)

    def _first_missing(self) -> str:
        names = [name for name in ("count", "frequency", "start_date") if getattr(self, name) is None]
        return "instalments" if len(names) == 3 else names[0]
