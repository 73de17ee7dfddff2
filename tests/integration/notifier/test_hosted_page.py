"""The page where a customer pays, over HTTP; the browser's view of it is in tests/e2e."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web

from services.invoices.rendering.actions import BOOKING_PAUSES
from services.invoices.rendering.jobs import book_payments
from tests import harness
from tests.harness import Client, System, wait_for
from tests.integration.notifier.world import a_customer, an_invoice

WEBHOOK_SECRET = "whsec_test"


async def a_page(client: Client, **fields: Any) -> tuple[dict[str, Any], str]:
    """An invoice and its page's address."""
    invoice = await an_invoice(client, (await a_customer(client))["id"], **fields)
    return invoice, (await client.get(f"/v1/invoices/{invoice['id']}/payment-link")).data["url"]


async def get(client: Client, url: str) -> tuple[int, str, Any]:
    async with client.session.get(url) as response:
        return response.status, await response.text(), response.headers


async def pay(client: Client, url: str, outcome: str = "paid") -> str:
    """Go through the sandbox; returns where it ends."""
    async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
        assert response.status == 303, await response.text()
        sandbox = response.headers["Location"]
    async with client.session.post(sandbox, data={"outcome": outcome}, allow_redirects=False) as response:
        assert response.status == 303, await response.text()
        return response.headers["Location"]


async def test_the_page_shows_the_invoice_and_runs_nothing(client: Client) -> None:
    await client.patch(
        "/v1/settings/invoicing",
        json={"branding": {"company_name": "<b>Evil & Co</b>", "bank_details": "IBAN DE89 3704 0044 0532 0130 00"}},
    )
    invoice, url = await a_page(client, note_to_customer="<script>alert(1)</script>")

    status, text, headers = await get(client, url)

    assert status == 200
    assert invoice["invoice_number"] in text
    assert "USD\u00a0150.00" in text
    assert "DE89 3704 0044 0532 0130 00" in text
    assert "<script" not in text
    assert "<b>Evil" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


async def test_a_paid_page_becomes_a_payment_that_is_matched(client: Client) -> None:
    invoice, url = await a_page(client)

    end = await pay(client, url)
    after = (await client.get(f"/v1/invoices/{invoice['id']}")).data
    payments = (await client.get(f"/v1/payments?invoice_id={invoice['id']}")).data

    assert end.endswith("?state=paid")
    assert (after["status"], after["amount_due"]) == ("paid", 0)
    assert [(payment["amount"], payment["status"]) for payment in payments] == [(150, "matched")]
    assert "Nothing is due any more" in (await get(client, url))[1]


async def test_paying_twice_at_once_takes_the_money_once_for_each_checkout(client: Client) -> None:
    invoice, url = await a_page(client)
    async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
        sandbox = response.headers["Location"]

    for _ in range(3):
        async with client.session.post(sandbox, data={"outcome": "paid"}, allow_redirects=False) as response:
            assert response.status == 303
    async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
        refused = response.status

    payments = (await client.get(f"/v1/payments?invoice_id={invoice['id']}")).data
    assert len(payments) == 1
    assert refused == 409


async def test_of_two_checkouts_paid_at_once_one_pays_the_invoice_and_the_other_waits_as_credit(client: Client) -> None:
    invoice, url = await a_page(client)
    pages = []
    for _ in range(2):
        async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
            pages.append(response.headers["Location"])

    async def end(page: str) -> int:
        async with client.session.post(page, data={"outcome": "paid"}, allow_redirects=False) as response:
            return response.status

    assert await asyncio.gather(*(end(page) for page in pages)) == [303, 303]

    async def settled() -> list[tuple[int, int, str]]:
        payments = (await client.get("/v1/payments")).data
        found = sorted((p["amount"], p["unapplied_amount"], p["status"]) for p in payments)
        return found if [unapplied for _, unapplied, _ in found] == [0, 150] else []

    assert await wait_for(settled) == [(150, 0, "matched"), (150, 150, "unmatched")]
    after = (await client.get(f"/v1/invoices/{invoice['id']}")).data
    assert (after["status"], after["amount_due"]) == ("paid", 0)


async def a_refused_checkout(client: Client, system: System, invoice_id: str) -> asyncpg.Record:
    """The invoice's checkout, after one more attempt to book what no payment can be made of."""
    async with system.owner() as conn:
        await conn.execute(
            "update invoices.checkouts set status = 'paid', paid_at = now(), currency = '?', next_attempt_at = now()"
            " where invoice_id = $1 and status in ('open', 'paid')",
            UUID(invoice_id),
        )
        await book_payments(system.process.runtimes["invoices"])
        row = await conn.fetchrow("select * from invoices.checkouts where invoice_id = $1", UUID(invoice_id))
    assert row is not None
    return row


async def test_money_that_cannot_be_booked_is_tried_ever_more_rarely_and_then_left_to_a_person(
    client: Client, system: System
) -> None:
    invoice, url = await a_page(client)
    async with client.session.post(f"{url}/checkout", allow_redirects=False):
        pass

    rows = [await a_refused_checkout(client, system, invoice["id"]) for _ in range(len(BOOKING_PAUSES) + 1)]

    waits = [row["next_attempt_at"] - row["paid_at"] for row in rows]
    assert waits == sorted(waits[:-1]) + waits[-1:]
    assert waits[0] >= BOOKING_PAUSES[0]
    assert [row["status"] for row in rows] == ["paid"] * len(BOOKING_PAUSES) + ["refused"]
    assert "payments answered 422" in rows[-1]["refusal"]
    assert rows[-1]["attempts"] == len(BOOKING_PAUSES) + 1
    text = (await get(client, url))[1]
    assert "Pay USD" not in text, "the customer has paid, and is not asked again"
    async with client.session.get(f"{system.base_url}/metrics") as response:
        assert 'arpilot_paid_checkouts_total{outcome="refused"}' in await response.text()


async def test_a_refused_checkout_holds_up_no_other(client: Client, system: System) -> None:
    bad, bad_url = await a_page(client)
    async with client.session.post(f"{bad_url}/checkout", allow_redirects=False):
        pass
    good, good_url = await a_page(client)
    async with client.session.post(f"{good_url}/checkout", allow_redirects=False):
        pass
    async with system.owner() as conn:
        await conn.execute(
            "update invoices.checkouts set status = 'paid', paid_at = now() where invoice_id = $1", UUID(good["id"])
        )

    await a_refused_checkout(client, system, bad["id"])

    assert (await client.get(f"/v1/invoices/{good['id']}")).data["status"] == "paid"


async def test_a_declined_payment_leaves_everything_due(client: Client) -> None:
    invoice, url = await a_page(client)

    end = await pay(client, url, outcome="failed")

    assert end.endswith("?state=failed")
    assert (await client.get(f"/v1/invoices/{invoice['id']}")).data["amount_due"] == 150


@pytest.mark.parametrize("status", ["draft", "cancelled"])
async def test_what_is_not_owed_cannot_be_paid(client: Client, status: str) -> None:
    _, url = await a_page(client, status=status)

    _, text, _ = await get(client, url)
    async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
        refused = response.status

    assert "Pay USD" not in text
    assert refused == 409


async def test_a_made_up_link_shows_a_page_that_says_so(client: Client, system: System) -> None:
    for accept, words in (("text/html,*/*", "<h1>Not found</h1>"), ("*/*", '"code":"link_unknown"')):
        async with client.session.get(f"{system.base_url}/pay/made-up", headers={"Accept": accept}) as response:
            assert response.status == 404
            assert words in await response.text()


class Stripe:
    """The part of Stripe's API that we call: it keeps what it was asked."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.keys: list[str] = []

    async def create(self, request: web.Request) -> web.Response:
        self.forms.append(dict(await request.post()))  # type: ignore[arg-type]
        self.keys.append(request.headers["Idempotency-Key"])
        assert request.headers["Authorization"] == "Bearer sk_test_1"
        return web.json_response({"id": f"cs_{len(self.forms)}", "url": "https://checkout.stripe.com/c/pay/cs"})


def signed(
    message: dict[str, Any], *, secret: str = WEBHOOK_SECRET, at: float | None = None
) -> tuple[bytes, dict[str, str]]:
    """A webhook message as Stripe signs it."""
    raw, stamp = json.dumps(message).encode(), str(int(at or time.time()))
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return raw, {"Stripe-Signature": f"t={stamp},v1={'0' * 64},v1={mac}", "Content-Type": "application/json"}


def completed(session_id: str, amount: int, **fields: Any) -> dict[str, Any]:
    session = {
        "id": session_id,
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": amount,
        "currency": "usd",
        "customer_details": {"name": "Kari Nordmann"},
        **fields,
    }
    return {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}}


async def test_stripe_is_asked_for_the_amount_due_and_believed_only_when_it_signs(
    database_url: str, tmp_path: Any
) -> None:
    stripe = Stripe()
    app = web.Application()
    app.router.add_post("/v1/checkout/sessions", stripe.create)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    environ = harness.environment(
        database_url,
        "local:",
        tmp_path,
        ARPILOT_INVOICES_PAYMENT_PROVIDER="stripe",
        ARPILOT_INVOICES_STRIPE_SECRET_KEY="sk_test_1",
        ARPILOT_INVOICES_STRIPE_WEBHOOK_SECRET=WEBHOOK_SECRET,
        ARPILOT_INVOICES_STRIPE_URL=f"http://127.0.0.1:{port}",
    )
    async with harness.system_over(environ) as system:
        client = await system.client()
        invoice, url = await a_page(client)
        async with client.session.post(f"{url}/checkout", allow_redirects=False) as response:
            assert urlsplit(response.headers["Location"]).hostname == "checkout.stripe.com"
        form = stripe.forms[0]
        assert form["line_items[0][price_data][unit_amount]"] == "15000"
        assert form["line_items[0][price_data][currency]"] == "usd"
        assert form["success_url"].startswith(url)
        assert form["client_reference_id"] == stripe.keys[0]

        async def tell(raw: bytes, headers: dict[str, str]) -> int:
            async with client.session.post(f"{system.base_url}/providers/stripe", data=raw, headers=headers) as answer:
                return answer.status

        assert await tell(*signed(completed("cs_1", 15000), secret="whsec_other")) == 422
        assert await tell(*signed(completed("cs_1", 15000), at=time.time() - 3600)) == 422
        assert await tell(b"{}", {}) == 422
        assert await tell(*signed(completed("cs_1", 100))) == 200
        assert await tell(*signed(completed("cs_1", 15000, payment_status="unpaid"))) == 200
        assert (await client.get(f"/v1/invoices/{invoice['id']}")).data["amount_due"] == 150

        for _ in range(2):
            assert await tell(*signed(completed("cs_1", 15000))) == 200

        async def paid() -> bool:
            return bool((await client.get(f"/v1/invoices/{invoice['id']}")).data["status"] == "paid")

        assert await wait_for(paid)
        payments = (await client.get(f"/v1/payments?invoice_id={invoice['id']}")).data
        assert [(p["amount"], p["payer_name"], p["payment_method"]) for p in payments] == [
            (150, "Kari Nordmann", "credit_card")
        ]
    await runner.cleanup()
