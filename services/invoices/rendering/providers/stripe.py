"""Stripe Checkout (https://docs.stripe.com/api/checkout/sessions): the page is theirs, no card number comes near us."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from services.invoices.rendering.errors import ProviderAway, ProviderUnsigned
from services.invoices.rendering.providers.provider import Order, Outcome, Session

API = "https://api.stripe.com"
TIMEOUT = aiohttp.ClientTimeout(total=20)
TOLERANCE_SECONDS = 300
"""How old a message may be, so that a recorded one cannot be played back for ever."""

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
"""Currencies whose smallest unit is the major one: Stripe wants 100 for 100 yen, where we keep 10000."""


class _Customer(msgspec.Struct, frozen=True):
    name: str | None = None


class _Session(msgspec.Struct, frozen=True):
    id: str
    url: str | None = None
    payment_status: str = ""
    amount_total: int = 0
    currency: str = ""
    customer_details: _Customer | None = None


class _Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class _Message(msgspec.Struct, frozen=True):
    type: str
    data: _Data


class StripeCheckout:
    """Stripe, for one account."""

    name = "stripe"

    def __init__(self, session: aiohttp.ClientSession, *, secret_key: str, webhook_secret: str, api: str = API) -> None:
        self._session = session
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret
        self._api = api

    async def open_session(self, order: Order) -> Session:
        """Make a Checkout Session. The idempotency key makes a repeated call give the same one."""
        headers = {"Authorization": f"Bearer {self._secret_key}", "Idempotency-Key": str(order.checkout_id)}
        url = f"{self._api}/v1/checkout/sessions"
        try:
            async with self._session.post(url, data=form_of(order), headers=headers, timeout=TIMEOUT) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderAway(retry_after_seconds=10) from error
        if response.status != 200:
            raise ProviderAway(retry_after_seconds=10)
        made = msgspec.json.decode(raw, type=_Session)
        if made.url is None:
            raise ProviderAway(retry_after_seconds=10)
        return Session(id=made.id, url=made.url)

    def read(self, raw: bytes, headers: Mapping[str, str], *, now: datetime) -> Outcome | None:
        """A signed webhook message about a session."""
        self._check(raw, headers.get("Stripe-Signature", ""), now)
        message = msgspec.json.decode(raw, type=_Message)
        kinds = {
            "checkout.session.completed": "paid",
            "checkout.session.async_payment_succeeded": "paid",
            "checkout.session.async_payment_failed": "failed",
            "checkout.session.expired": "failed",
        }
        if message.type not in kinds:
            return None
        session = msgspec.json.decode(message.data.object, type=_Session)
        if kinds[message.type] == "paid" and session.payment_status != "paid":
            return None  # a bank debit is completed before its money is there; another message follows
        return Outcome(
            session_id=session.id,
            status="paid" if kinds[message.type] == "paid" else "failed",
            amount_cents=_cents(session.amount_total, session.currency.upper()),
            currency=session.currency.upper(),
            payer_name=session.customer_details.name if session.customer_details else None,
        )

    def _check(self, raw: bytes, header: str, now: datetime) -> None:
        """`t=<unix seconds>,v1=<hex of HMAC-SHA256 over "t.body">`, several v1 while a secret is rotated."""
        parts = [part.partition("=") for part in header.split(",")]
        stamp = next((value for name, _, value in parts if name.strip() == "t"), "")
        given = [value for name, _, value in parts if name.strip() == "v1"]
        wanted = hmac.new(self._webhook_secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
        genuine = any(hmac.compare_digest(wanted.encode(), value.encode()) for value in given)
        fresh = stamp.isascii() and stamp.isdigit() and abs(now.timestamp() - int(stamp)) <= TOLERANCE_SECONDS
        if not (genuine and fresh):
            raise ProviderUnsigned


def form_of(order: Order) -> dict[str, Any]:
    """What Stripe is asked for."""
    form = {
        "mode": "payment",
        "client_reference_id": str(order.checkout_id),
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": order.currency.lower(),
        "line_items[0][price_data][unit_amount]": str(_units(order.amount_cents, order.currency)),
        "line_items[0][price_data][product_data][name]": order.title,
    }
    if order.customer_email:
        form["customer_email"] = order.customer_email
    if order.may_keep_method:
        form["payment_intent_data[setup_future_usage]"] = "off_session"
    return form


def _units(cents: int, currency: str) -> int:
    return -(-cents // 100) if currency in ZERO_DECIMAL else cents


def _cents(units: int, currency: str) -> int:
    return units * 100 if currency in ZERO_DECIMAL else units
