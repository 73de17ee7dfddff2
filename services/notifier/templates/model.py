"""What a template is, and what it becomes: pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.notifier.templates.errors import TemplateWrong
from services.notifier.templates.language import check, render

Stage = Literal[
    "initial_send", "reminder", "overdue_1", "overdue_2", "overdue_3", "final_notice", "receipt", "statement",
    "plan_instalment",
]  # fmt: skip

REMINDING: frozenset[Stage] = frozenset({"reminder", "overdue_1", "overdue_2", "overdue_3", "final_notice"})
"""Stages that a contact may unsubscribe from."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """An email template. Those of the system cannot be changed; copy one to make your own."""

    id: UUID
    name: str
    type: Literal["email"] = "email"
    template_stage: Stage
    subject: str
    html: str
    text: str
    is_system: bool
    version: int
    created_at: datetime
    updated_at: datetime


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A template filled in."""

    subject: str
    html: str
    text: str


def fill(template: Template, values: Mapping[str, Any]) -> Rendered:
    """Fill a template in; the subject is one line, whatever the values say. Raises TemplateWrong."""
    return _fill(template.subject, template.html, template.text, values)


def check_all(*, subject: str, html: str, text: str) -> None:
    """Raise TemplateWrong with everything that is wrong."""
    errors = [*check("subject", subject, html=False), *check("html", html, html=True), *check("text", text, html=False)]
    if errors:
        raise TemplateWrong(errors)
    fill_sample(subject=subject, html=html, text=text)


def fill_sample(*, subject: str, html: str, text: str) -> Rendered:
    """What the texts look like with made-up values; raises TemplateWrong."""
    return _fill(subject, html, text, SAMPLE)


def _fill(subject: str, html: str, text: str, values: Mapping[str, Any]) -> Rendered:
    return Rendered(
        subject=" ".join(render(subject, values, html=False).split()),
        html=render(html, values, html=True),
        text=re.sub(r"\n{3,}", "\n\n", render(text, values, html=False)).strip() + "\n",
    )


_SAMPLE_INVOICE = {
    "number": "INV-2026-0042", "amount": "EUR 1,887.58", "amount_due": "EUR 1,387.58", "currency": "EUR",
    "issue_date": "21 Oct 2026", "due_date": "20 Nov 2026", "status": "overdue", "days_overdue": 8, "days_until_due": 0,
    "memo": "Thank you", "note": "Payable without deduction", "project": "Ledger", "pay_url": "https://pay.example.com/pay/sample",
}  # fmt: skip

SAMPLE: Mapping[str, Any] = {
    "company": {
        "name": "Halvorsen & Müller GmbH",
        "address": "Kastanienallee 12, Berlin",
        "email": "billing@example.com",
    },
    "customer": {"name": "Nordlicht AS"},
    "contact": {"name": "Kari Nordmann", "first_name": "Kari", "email": "kari@example.com"},
    "invoice": _SAMPLE_INVOICE,
    "invoices": [_SAMPLE_INVOICE, {**_SAMPLE_INVOICE, "number": "INV-2026-0047", "amount_due": "EUR 200.00"}],
    "total_due": "EUR 1,587.58",
    "payment": {"amount": "EUR 500.00", "date": "25 Nov 2026", "method": "bank transfer"},
    "instalment": {"amount": "EUR 462.52", "due_date": "1 Dec 2026"},
    "statement": {"start": "1 Nov 2026", "end": "30 Nov 2026", "balance": "EUR 1,387.58"},
    "unsubscribe_url": "https://pay.example.com/unsubscribe/sample",
}
"""Values for previews and for the check of a new template."""
