"""Arithmetic of the reports (docs/around-invoices.md). All amounts are cents of one currency."""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import msgspec

BUCKETS = ("current", "days_1_30", "days_31_60", "days_61_90", "days_over_90")
"""How late money is, in days after its due date; what falls due on the day itself is current."""

MONTHS = 12
"""How far back the report on days sales outstanding goes."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What was open at a day of all invoices of one customer that fall due on one day."""

    customer_id: UUID | None
    customer_name: str
    due_date: date
    open_cents: int


class AgedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's open money by how late it is, in the order of BUCKETS."""

    customer_id: UUID | None
    customer_name: str
    cents: tuple[int, ...]

    @property
    def total_cents(self) -> int:
        """All of it."""
        return sum(self.cents)


def bucket(due_date: date, *, as_of: date) -> int:
    """Place in BUCKETS of money that falls due on a day."""
    days_late = (as_of - due_date).days
    return 0 if days_late <= 0 else min((days_late - 1) // 30 + 1, len(BUCKETS) - 1)


def aging(balances: Iterable[Balance], *, as_of: date) -> list[AgedCustomer]:
    """Balances by customer and bucket, in order of names; customers without open money are left out."""
    customers: dict[UUID | None, tuple[str, list[int]]] = {}
    for balance in balances:
        _, cents = customers.setdefault(balance.customer_id, (balance.customer_name, [0] * len(BUCKETS)))
        cents[bucket(balance.due_date, as_of=as_of)] += balance.open_cents
    aged = [
        AgedCustomer(customer_id=customer_id, customer_name=name, cents=tuple(cents))
        for customer_id, (name, cents) in customers.items()
        if any(cents)
    ]
    return sorted(aged, key=lambda customer: (customer.customer_name.casefold(), str(customer.customer_id)))


def totals(customers: Sequence[AgedCustomer]) -> tuple[int, ...]:
    """Sum over all customers of each bucket."""
    return tuple(sum(customer.cents[i] for customer in customers) for i in range(len(BUCKETS)))


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what a customer owes. `change_cents` is positive when the customer owes more."""

    entry_id: UUID
    date: date
    description: str
    kind: str
    invoice_id: UUID
    invoice_number: str | None
    payment_id: UUID | None
    change_cents: int


def running_balances(opening_cents: int, postings: Sequence[Posting]) -> list[int]:
    """What the customer owed after each posting."""
    balances = [opening_cents]
    for posting in postings:
        balances.append(balances[-1] + posting.change_cents)
    return balances[1:]


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month's end balance of receivables, what was billed in it (net of voids), and how many days it has so far."""

    first: date
    days: int
    receivable_cents: int
    billed_cents: int


def months_until(today: date) -> list[date]:
    """First days of the last twelve months, the present one last."""
    last = today.year * 12 + today.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(last - MONTHS + 1, last + 1)]


def days_of(first: date, *, today: date) -> int:
    """Days of a month that have begun."""
    return min(monthrange(first.year, first.month)[1], (today - first).days + 1)


def last_day(first: date, *, today: date) -> date:
    """The last day of a month, or today in the present one."""
    return first + timedelta(days=days_of(first, today=today) - 1)


def dso_days(month: Month) -> Decimal | None:
    """Days sales outstanding: end balance ÷ billed × days; None where nothing was billed but something is owed."""
    if month.receivable_cents <= 0:
        return Decimal("0.0")
    if month.billed_cents <= 0:
        return None
    days = Decimal(month.receivable_cents) * month.days / month.billed_cents
    return days.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
