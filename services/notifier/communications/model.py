"""What a mail says and when it may no longer be said: pure."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from services.notifier.communications.events import Kind
from services.notifier.templates.model import Stage

REMINDERS: frozenset[str] = frozenset({"remind", "dunning"})
"""Kinds that ask for money: pointless once nothing is due, and what a contact may unsubscribe from."""

STAGE_OF: Mapping[str, Stage] = {
    "send": "initial_send",
    "email": "initial_send",
    "remind": "reminder",
    "receipt": "receipt",
    "plan_instalment": "plan_instalment",
    "statement": "statement",
}
"""The stage whose system template is used where a communication names none."""

SILENCING = {"paid": "paid", "cancelled": "voided", "in_dispute": "disputed", "in_payment_plan": "in_payment_plan"}
"""Statuses of an invoice that end what is scheduled about it, and the reason that is recorded."""

TURN_SECONDS = 180
"""How long one process may work at a mail before another takes it up: six times the mail server's time-out."""


class NewCommunication(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be stored."""

    id: UUID
    kind: Kind
    template_id: UUID | None = None
    template_stage: Stage | None = None
    customer_id: UUID | None = None
    invoice_ids: tuple[UUID, ...] = ()
    contact_id: UUID | None = None
    to_name: str
    to_email: str
    to_phone: str | None = None
    cc: tuple[str, ...] = ()
    cc_self: bool = False
    scheduled_for: datetime
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)
    requested_by: str | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A mail whose turn it is, with what is needed to send it."""

    tenant_id: UUID
    id: UUID
    turn: UUID
    kind: Kind
    template_id: UUID | None
    template_stage: Stage | None
    customer_id: UUID | None
    invoice_ids: Sequence[UUID]
    contact_id: UUID | None
    to_name: str
    to_email: str
    cc: Sequence[str]
    cc_self: bool
    attempts: int
    facts: Mapping[str, str]


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """Who bills, by the branding of the invoices."""

    name: str
    address: str = ""


class LetterInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as its owner knows it at the moment of sending."""

    id: UUID
    invoice_number: str | None
    status: str
    currency: str
    amount: Decimal
    amount_due: Decimal
    issue_date: date
    due_date: date
    memo: str | None
    note_to_customer: str | None
    project: str | None
    pay_url: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What the invoices service tells for a mail."""

    origin: str
    """Scheme and host that customers see."""
    company: Company
    invoices: Sequence[LetterInvoice]


def still_wanted(kind: Kind, invoices: Sequence[LetterInvoice]) -> list[LetterInvoice] | str:
    """The invoices that the mail is still about, or the reason why it is not to be sent any more."""
    if not invoices:
        return "invoice_deleted"
    if kind == "plan_instalment":
        return list(invoices) if invoices[0].status == "in_payment_plan" else "plan_ended"
    if kind not in REMINDERS:
        voided = all(invoice.status == "cancelled" for invoice in invoices)
        return "voided" if voided else list(invoices)
    asked = [invoice for invoice in invoices if invoice.status not in SILENCING and invoice.amount_due > 0]
    return asked or SILENCING.get(invoices[0].status, "paid")


class StatementLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What the invoices service tells for a mail with a statement."""

    company: Company
    currency: str
    balance: Decimal


def values(
    company: Company,
    invoices: Sequence[LetterInvoice],
    *,
    customer_name: str,
    to_name: str,
    to_email: str,
    company_email: str,
    today: date,
    facts: Mapping[str, str],
    unsubscribe_url: str | None,
) -> dict[str, Any]:
    """What a template can say."""
    shown = [invoice_values(invoice, today) for invoice in invoices]
    return {
        "company": {"name": company.name, "address": one_line(company.address), "email": company_email},
        "customer": {"name": customer_name or to_name},
        "contact": {"name": to_name, "first_name": first_name(to_name), "email": to_email},
        "invoice": shown[0] if shown else EMPTY_INVOICE,
        "invoices": shown,
        "total_due": total_due(invoices),
        "payment": _facts(facts, "payment", ("amount", "date", "method")),
        "instalment": _facts(facts, "instalment", ("amount", "due_date")),
        "statement": _facts(facts, "statement", ("start", "end", "balance")),
        "unsubscribe_url": unsubscribe_url or "",
    }


EMPTY_INVOICE: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "number",
            "amount",
            "amount_due",
            "currency",
            "issue_date",
            "due_date",
            "status",
            "memo",
            "note",
            "project",
            "pay_url",
        ),
        "",
    ),
    "days_overdue": 0,
    "days_until_due": 0,
}
"""A mail about no invoice, such as a statement, says nothing where a template names one."""


def invoice_values(invoice: LetterInvoice, today: date) -> dict[str, Any]:
    """The members of `invoice`."""
    late = (today - invoice.due_date).days
    return {
        "number": invoice.invoice_number or "",
        "amount": money(invoice.amount, invoice.currency),
        "amount_due": money(invoice.amount_due, invoice.currency),
        "currency": invoice.currency,
        "issue_date": day(invoice.issue_date),
        "due_date": day(invoice.due_date),
        "status": invoice.status,
        "days_overdue": max(0, late),
        "days_until_due": max(0, -late),
        "memo": invoice.memo or "",
        "note": invoice.note_to_customer or "",
        "project": invoice.project or "",
        "pay_url": invoice.pay_url,
    }


def total_due(invoices: Sequence[LetterInvoice]) -> str:
    """What is due in all, by currency."""
    totals: dict[str, Decimal] = {}
    for invoice in invoices:
        totals[invoice.currency] = totals.get(invoice.currency, Decimal(0)) + invoice.amount_due
    return " + ".join(money(amount, currency) for currency, amount in totals.items())


def money(amount: Decimal, currency: str) -> str:
    """An amount with its currency, thousands set off."""
    return f"{currency} {amount:,.2f}"


def day(on: date) -> str:
    """A date that no reader mistakes, whichever order of day and month is usual to them."""
    return f"{on.day} {on:%b} {on.year}"


def first_name(name: str) -> str:
    """What to greet somebody by. A name without spaces, or of a company, is taken whole."""
    words = name.split()
    return words[0] if len(words) == 2 else name


def one_line(text: str) -> str:
    """An address as one line."""
    return ", ".join(line.strip() for line in text.splitlines() if line.strip())


def next_day(at: datetime, timezone: str) -> datetime:
    """The beginning of the next day in a time zone: when a used-up daily limit is new again."""
    zone = ZoneInfo(timezone)
    tomorrow = at.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=zone).astimezone(ZoneInfo("UTC"))


def _facts(facts: Mapping[str, str], prefix: str, names: Sequence[str]) -> dict[str, str]:
    return {name: facts.get(f"{prefix}_{name}", "") for name in names}
