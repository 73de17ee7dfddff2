"""The page where a customer sees and pays an invoice: server-rendered, readable on a phone, no script."""

import base64
from typing import Any

import jinja2
from aiohttp import web

from services.invoices.rendering.layout import bill_data, money
from services.invoices.rendering.model import Bill
from services.invoices.rendering.store import Checkout

STATUS_WORDS = {
    "draft": "Draft",
    "pending": "Open",
    "partial": "Partly paid",
    "paid": "Paid",
    "overdue": "Overdue",
    "in_dispute": "In dispute",
    "in_payment_plan": "In a payment plan",
    "cancelled": "Cancelled",
}
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self' {form}; frame-ancestors 'none'; "
    "base-uri 'none'"
)

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("services.invoices.rendering", "page_templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def invoice_page(bill: Bill, *, path: str, logo: str | None, payable_cents: int, underway: bool, note: str) -> str:
    """The invoice; `payable_cents` is what can be paid online now, 0 where nothing can."""
    return _environment.get_template("invoice.html").render(
        **_values(bill), path=path, logo=logo, payable_cents=payable_cents, underway=underway, note=note
    )


def sandbox_page(bill: Bill, checkout: Checkout, *, path: str) -> str:
    """The sandbox's two buttons."""
    amount = money(checkout.amount_cents, checkout.currency)
    return _environment.get_template("sandbox.html").render(**_values(bill), amount=amount, path=path)


def _values(bill: Bill) -> dict[str, Any]:
    data = bill_data(bill)
    code = base64.b64encode(((data["pay"] or {}).get("code") or "").encode()).decode()
    return {"bill": bill, "data": data, "status": STATUS_WORDS[bill.status], "code": code}


def refused(title: str, detail: str) -> str:
    """What a person reads who follows a link that leads nowhere."""
    return _environment.get_template("refused.html").render(title=title, detail=detail)


def elsewhere(url: str) -> web.Response:
    """The answer to a form: see there."""
    return web.Response(status=303, headers={"Location": url, "Referrer-Policy": "no-referrer"})


def html(text: str, *, status: int = 200, form: str = "") -> web.Response:
    """A page with the headers that keep it harmless; `form` names whom its forms may lead to."""
    headers = {
        "Content-Security-Policy": POLICY.format(form=form),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
