"""`arpilot webhooks trigger`: make an event happen, by doing over the public API what causes it."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from shared import clock
from shared.http.outside import Api

Say = Callable[[str], None]


class CannotTrigger(Exception):
    """Nothing that can be done over the API causes this event; the message says what can be triggered."""


class Step(NamedTuple):
    """One request. `{names}` in it stand for ids of what the steps before made; `keep` names the id of this one."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    keep: str = "_"


CUSTOMER = Step(
    "POST",
    "/v1/customers",
    {
        "company_name": "Trigger {nonce}",
        "contacts": [{"contact_name": "Trigger", "email": "trigger@example.com", "is_primary": True}],
    },
    "customer",
)
INVOICE = Step(
    "POST", "/v1/invoices", {"customer_id": "{customer}", "amount": 100, "due_date": "{next_month}"}, "invoice"
)
LATE_INVOICE = Step(
    "POST",
    "/v1/invoices",
    {"customer_id": "{customer}", "amount": 100, "issue_date": "{last_month}", "due_date": "{yesterday}"},
    "invoice",
)
DRAFT = Step(
    "POST",
    "/v1/invoices",
    {"customer_id": "{customer}", "amount": 100, "due_date": "{next_month}", "status": "draft"},
    "invoice",
)
PAYMENT = Step("POST", "/v1/payments", {"amount": 42, "payment_date": "{today}", "payer_name": "Trigger"}, "payment")
PAID = Step("POST", "/v1/invoices/{invoice}/record-payment", {"payment_method": "wire"}, "payment")
DISPUTE = Step("POST", "/v1/disputes", {"invoice_id": "{invoice}", "reason": "Triggered"}, "dispute")
BILLED = (CUSTOMER, INVOICE)

FIXTURES: dict[str, Sequence[Step]] = {
    "customer.created": (CUSTOMER,),
    "customer.updated": (CUSTOMER, Step("PATCH", "/v1/customers/{customer}", {"company_name": "Changed {nonce}"})),
    "customer.deleted": (CUSTOMER, Step("DELETE", "/v1/customers/{customer}")),
    "invoice.created": BILLED,
    "invoice.updated": (*BILLED, Step("PATCH", "/v1/invoices/{invoice}", {"memo": "Triggered"})),
    "invoice.issued": (CUSTOMER, DRAFT, Step("POST", "/v1/invoices/{invoice}/publish")),
    "invoice.paid": (*BILLED, PAID),
    "invoice.overdue": (CUSTOMER, LATE_INVOICE),
    "invoice.voided": (*BILLED, Step("POST", "/v1/invoices/{invoice}/void")),
    "invoice.written_off": (*BILLED, Step("POST", "/v1/invoices/{invoice}/write-off", {"reason": "Triggered"})),
    "invoice.archived": (*BILLED, Step("DELETE", "/v1/invoices/{invoice}")),
    "invoice.restored": (
        *BILLED,
        Step("DELETE", "/v1/invoices/{invoice}"),
        Step("POST", "/v1/invoices/{invoice}/restore"),
    ),
    "credit_note.created": (*BILLED, Step("POST", "/v1/invoices/{invoice}/credit-notes", {"reason": "Triggered"})),
    "dispute.created": (*BILLED, DISPUTE),
    "dispute.resolved": (*BILLED, DISPUTE, Step("POST", "/v1/disputes/{dispute}/resolve", {"resolution": "rejected"})),
    "payment_plan.enrolled": (
        *BILLED,
        Step(
            "POST",
            "/v1/payment-plans",
            {"invoice_ids": ["{invoice}"], "count": 2, "frequency": "monthly", "start_date": "{next_month}"},
        ),
    ),
    "payment.created": (PAYMENT,),
    "payment.matched": (*BILLED, PAID),
    "payment.unmatched": (*BILLED, PAID, Step("PATCH", "/v1/payments/{payment}", {"invoice_id": None})),
    "payment.refunded": (PAYMENT, Step("POST", "/v1/payments/{payment}/refund", {"amount": 42})),
    "reconciliation.record_created": BILLED,
}


async def trigger(api: Api, event_type: str, say: Say) -> None:
    """Do what causes an event of this type, saying each step."""
    if event_type == "webhook.test":
        await _test_all(api, say)
        return
    steps = FIXTURES.get(event_type)
    if steps is None:
        raise CannotTrigger(f"{event_type} cannot be triggered; what can: {', '.join(sorted(FIXTURES))}, webhook.test")
    names = _first_names()
    for step in steps:
        path = step.path.format_map(names)
        say(f"{step.method} {path}")
        answer = await api.request(step.method, path, _filled(step.body, names))
        names[step.keep] = (answer.get("data") or {}).get("id", "")


async def _test_all(api: Api, say: Say) -> None:
    for webhook in (await api.get("/v1/webhooks", per_page=100))["data"]:
        if webhook["is_active"]:
            say(f"POST /v1/webhooks/{webhook['id']}/test")
            await api.post(f"/v1/webhooks/{webhook['id']}/test")


def _first_names() -> dict[str, str]:
    today = clock.now().date()
    return {
        "nonce": secrets.token_hex(3),
        "today": str(today),
        "yesterday": str(today - timedelta(days=1)),
        "last_month": str(today - timedelta(days=30)),
        "next_month": str(today + timedelta(days=30)),
    }


def _filled(body: object, names: Mapping[str, str]) -> object:
    """The body with the names filled in."""
    if isinstance(body, str):
        return body.format_map(names)
    if isinstance(body, Mapping):
        return {name: _filled(value, names) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, names) for value in body]
    return body
