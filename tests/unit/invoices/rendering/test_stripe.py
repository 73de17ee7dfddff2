"""Stripe's messages and amounts, without Stripe."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import aiohttp
import msgspec
import pytest

from services.invoices.rendering.errors import ProviderUnsigned
from services.invoices.rendering.providers.provider import Order
from services.invoices.rendering.providers.stripe import TOLERANCE_SECONDS, StripeCheckout, form_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "whsec_test"
STRIPE = StripeCheckout(cast("aiohttp.ClientSession", None), secret_key="sk", webhook_secret=SECRET)
ORDER = Order(
    checkout_id=UUID(int=1),
    amount_cents=138758,
    currency="EUR",
    title="Invoice INV-1",
    customer_email=None,
    success_url="https://x/s",
    cancel_url="https://x/c",
    may_keep_method=False,
)


def message(kind: str = "checkout.session.completed", **fields: Any) -> bytes:
    session = {"id": "cs_1", "payment_status": "paid", "amount_total": 138758, "currency": "eur", **fields}
    return msgspec.json.encode({"type": kind, "data": {"object": session}})


def header(raw: bytes, *, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    mac = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={mac}"}


def test_a_signed_message_tells_what_was_paid() -> None:
    outcome = STRIPE.read(message(), header(message()), now=NOW)

    assert outcome is not None
    assert (outcome.session_id, outcome.status, outcome.amount_cents, outcome.currency) == (
        "cs_1",
        "paid",
        138758,
        "EUR",
    )


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        ("checkout.session.completed", {"payment_status": "unpaid"}, None),
        ("checkout.session.async_payment_succeeded", {}, "paid"),
        ("checkout.session.async_payment_failed", {"payment_status": "unpaid"}, "failed"),
        ("checkout.session.expired", {"payment_status": "unpaid"}, "failed"),
        ("customer.created", {}, None),
    ],
)
def test_each_kind_of_message_means_what_stripe_says(kind: str, fields: dict[str, Any], status: str | None) -> None:
    raw = message(kind, **fields)
    outcome = STRIPE.read(raw, header(raw), now=NOW)

    assert (outcome.status if outcome else None) == status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": "t=,v1="},
        {"Stripe-Signature": "t=\u0664,v1=x"},
        header(message(), secret="other"),
        header(b"another message"),
        header(message(), at=NOW - timedelta(seconds=TOLERANCE_SECONDS + 1)),
        header(message(), at=NOW + timedelta(seconds=TOLERANCE_SECONDS + 1)),
    ],
)
def test_what_is_not_signed_now_by_stripe_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ProviderUnsigned):
        STRIPE.read(message(), headers, now=NOW)


@pytest.mark.parametrize(("currency", "cents", "units"), [("EUR", 138758, "138758"), ("JPY", 10000, "100")])
def test_amounts_are_in_the_currencys_smallest_unit(currency: str, cents: int, units: str) -> None:
    form = form_of(msgspec.structs.replace(ORDER, currency=currency, amount_cents=cents))

    assert form["line_items[0][price_data][unit_amount]"] == units
    assert form["line_items[0][price_data][currency]"] == currency.lower()


def test_a_payment_method_is_kept_only_where_it_may_be() -> None:
    key = "payment_intent_data[setup_future_usage]"

    assert key not in form_of(ORDER)
    assert form_of(msgspec.structs.replace(ORDER, may_keep_method=True))[key] == "off_session"
