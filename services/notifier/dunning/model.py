"""Which reminder is due for whom today: pure. Amounts in cents, days relative to the due date (negative: before)."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

DUNNED = frozenset({"pending", "partial", "overdue"})
"""What is disputed, in a plan, paid, void or a draft is left alone."""

LOOK_BACK_DAYS = 30
"""A step whose day is longer past than this is over: an old invoice that is put on a schedule today starts with the
steps that still lie ahead, save the last one that has passed."""


class LateFee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fee for being late, an invoice of its own: a fixed amount, or a percentage of what is due."""

    amount_cents: int = 0
    percent: Decimal = Decimal(0)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a schedule."""

    days: int
    template_id: UUID
    minimum_cents: int = 0
    escalation_level: int = 0
    late_fee: LateFee | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's rule: for which customers, and which steps."""

    id: UUID
    is_default: bool
    tags: frozenset[str]
    customers: frozenset[UUID]
    steps: tuple[Step, ...]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as dunning sees it."""

    customer_id: UUID
    tags: frozenset[str]
    paused: bool


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as dunning sees it; `done` are the days of the steps already taken or passed over."""

    invoice_id: UUID
    status: str
    due_date: date
    due_cents: int
    paused: bool
    done: frozenset[int]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about one invoice: one step to take, and earlier ones that it makes needless."""

    invoice: Open
    step: Step
    passed_over: tuple[int, ...]


def schedule_for(schedules: Iterable[Schedule], account: Account) -> Schedule | None:
    """The one that names the customer, else one that names a tag of it, else the default."""
    ranked = sorted(
        schedules, key=lambda s: (account.customer_id not in s.customers, not s.tags & account.tags, str(s.id))
    )
    fitting = (s for s in ranked if account.customer_id in s.customers or s.tags & account.tags or s.is_default)
    return next(fitting, None)


def due_step(schedule: Schedule, invoice: Open, today: date) -> Due | None:
    """The latest step whose day has come and that is not done; what it overtakes is passed over, so that days of
    downtime, or a late start, never bring a flood."""
    if invoice.status not in DUNNED or invoice.paused or invoice.due_cents <= 0:
        return None
    come = [step for step in schedule.steps if _day(invoice, step) <= today and invoice.due_cents >= step.minimum_cents]
    if not come:
        return None
    latest = max(come, key=lambda step: step.days)
    if any(days >= latest.days for days in invoice.done) or today - _day(invoice, latest) > timedelta(
        days=LOOK_BACK_DAYS
    ):
        return None
    passed = tuple(sorted(step.days for step in come if step.days < latest.days and step.days not in invoice.done))
    return Due(invoice=invoice, step=latest, passed_over=passed)


def _day(invoice: Open, step: Step) -> date:
    return invoice.due_date + timedelta(days=step.days)


def gather(dues: Sequence[Due]) -> Due | None:
    """One customer hears of all its invoices in one mail, in the words of the gravest step."""
    return max(dues, key=lambda due: (due.step.days, due.invoice.due_cents, str(due.invoice.invoice_id)), default=None)


def fee_cents(fee: LateFee, due_cents: int) -> int:
    """The late fee on what is due, half a cent rounded up."""
    share = (Decimal(due_cents) * fee.percent / 100).quantize(Decimal(1), rounding="ROUND_HALF_UP")
    return fee.amount_cents + int(share)


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a customer."""

    id: UUID
    name: str
    email: str
    is_primary: bool
    escalation_level: int


def addressees(contacts: Sequence[Contact], level: int, unsubscribed: Collection[str]) -> list[Contact]:
    """Whom a step addresses: the contacts of its escalation level, else of the nearest below, else the primary one.

    Who has unsubscribed is left out; the first is written to, the others get copies.
    """
    reachable = [c for c in contacts if c.email and c.email.lower() not in unsubscribed]
    levels = [c.escalation_level for c in reachable if c.escalation_level <= level]
    chosen = [c for c in reachable if levels and c.escalation_level == max(levels)] or reachable[:1]
    return sorted(chosen, key=lambda c: (not c.is_primary, c.name, str(c.id)))
