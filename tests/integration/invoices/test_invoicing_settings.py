"""The settings for invoicing: defaults, what they do, and every refusal."""

import base64
from datetime import UTC, datetime

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import Json, a_customer, an_invoice, found, made, refused

PATH = "/v1/settings/invoicing"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50)).decode()


async def test_settings_have_defaults(client: Client) -> None:
    settings = found(await client.get(PATH))

    assert {name: settings[name] for name in ("invoice_prefix", "number_on", "payment_terms_days", "currency")} == {
        "invoice_prefix": "INV",
        "number_on": "create",
        "payment_terms_days": 30,
        "currency": "USD",
    }
    assert settings["branding"]["company_name"] is None


async def test_a_change_touches_only_what_was_sent(client: Client) -> None:
    found(await client.patch(PATH, json={"branding": {"color": "#aabbcc", "footer": "Thanks"}}))

    changed = found(await client.patch(PATH, json={"timezone": "Europe/Berlin", "branding": {"footer": None}}))

    assert (changed["branding"]["color"], changed["branding"]["footer"]) == ("#aabbcc", None)
    assert (changed["timezone"], changed["invoice_prefix"]) == ("Europe/Berlin", "INV")
    assert found(await client.get(PATH)) == changed
    assert found(await client.patch(PATH, json={"timezone": None}))["timezone"] != "Europe/Berlin"


async def test_the_prefix_begins_the_next_number(client: Client) -> None:
    found(await client.patch(PATH, json={"invoice_prefix": "ACME"}))

    invoice = await an_invoice(client)

    assert invoice["invoice_number"] == f"ACME-{datetime.now(UTC).year}-0001"


async def test_a_draft_is_numbered_when_issued_where_the_tenant_wants_it_so(client: Client) -> None:
    found(await client.patch(PATH, json={"number_on": "issue"}))
    draft = await an_invoice(client, status="draft")

    issued = found(await client.post(f"/v1/invoices/{draft['id']}/publish"))

    assert draft["invoice_number"] is None
    assert issued["invoice_number"].endswith("-0001")


async def test_the_terms_give_the_due_date(client: Client) -> None:
    found(await client.patch(PATH, json={"payment_terms_days": 7}))
    customer = await a_customer(client)
    body = {"customer_id": customer["id"], "amount": 1, "issue_date": "2026-11-01"}

    invoice = made(await client.post("/v1/invoices", json=body))

    assert invoice["due_date"] == "2026-11-08"


async def test_a_logo_is_a_png_or_a_jpeg(client: Client) -> None:
    logo = f"data:image/png;base64,{PNG}"

    assert found(await client.patch(PATH, json={"branding": {"logo": logo}}))["branding"]["logo"] == logo
    assert found(await client.patch(PATH, json={"branding": {"logo": PNG}}))["branding"]["logo"] == PNG


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"invoice_prefix": ""}, "invoice_prefix"),
        ({"invoice_prefix": "A B"}, "invoice_prefix"),
        ({"invoice_prefix": None}, "invoice_prefix"),
        ({"number_on": "never"}, "number_on"),
        ({"payment_terms_days": -1}, "payment_terms_days"),
        ({"payment_terms_days": 3651}, "payment_terms_days"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"currency": "usd"}, "currency"),
        ({"branding": {"color": "red"}}, "branding.color"),
        ({"branding": {"slogan": "x"}}, "branding.slogan"),
        ({"branding": {"logo": "no base64!"}}, "branding.logo"),
        ({"branding": {"logo": base64.b64encode(b"GIF89a").decode()}}, "branding.logo"),
        ({"branding": {"logo": base64.b64encode(base64.b64decode(PNG) + bytes(256 * 1024)).decode()}}, "branding.logo"),
        ({"prefix": "x"}, "prefix"),
    ],
)
async def test_a_setting_is_refused(client: Client, body: Json, field: str) -> None:
    before = found(await client.get(PATH))

    assert refused(await client.patch(PATH, json=body)) == (422, "validation_failed", field)
    assert found(await client.get(PATH)) == before


async def test_an_edit_of_older_settings_is_refused(client: Client) -> None:
    seen = (await client.get(PATH)).headers["ETag"]
    found(await client.patch(PATH, json={"payment_terms_days": 1}))

    answer = await client.patch(PATH, json={"payment_terms_days": 2}, headers={"If-Match": seen})

    assert refused(answer)[:2] == (412, "precondition_failed")


async def test_a_mail_cannot_be_scheduled_where_the_calendar_ends(client: Client) -> None:
    template = made(
        await client.post("/v1/templates", json={"name": "Mine", "subject": "Hi", "html": "<p>Hi</p>", "text": "Hi"})
    )
    invoice = await an_invoice(client)
    body = {"template_id": template["id"], "scheduled_date": "9999-12-31T23:59:59-12:00"}

    answer = await client.post(f"/v1/invoices/{invoice['id']}/send", json=body)

    assert refused(answer) == (422, "validation_failed", "scheduled_date")
