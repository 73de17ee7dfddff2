"""Documents over HTTP: where they come from, who may fetch them, and for how long."""

import base64
import io
from datetime import timedelta
from uuid import UUID

import facturx
from pypdf import PdfReader, PdfWriter

from shared import clock, links
from tests.harness import SECRETS, Client, System, wait_for
from tests.integration.notifier.world import a_customer, an_invoice


def a_pdf(width: float = 200) -> bytes:
    """A PDF of an empty page."""
    writer = PdfWriter()
    writer.add_blank_page(width, 100)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


async def generated(client: Client) -> dict[str, object]:
    """An invoice with a rendered PDF."""
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    data: dict[str, object] = (await client.post(f"/v1/invoices/{invoice['id']}?action=generate_pdf")).data
    return data


async def fetched(client: Client, invoice_id: object) -> bytes:
    """The PDF behind the link, fetched without a token."""
    url = (await client.get(f"/v1/invoices/{invoice_id}/pdf-link")).data["url"]
    async with client.session.get(url) as response:
        assert response.status == 200
        assert response.content_type == "application/pdf"
        return await response.read()


async def test_a_generated_pdf_is_fetched_by_a_link_that_needs_no_token(client: Client) -> None:
    invoice = await generated(client)

    assert invoice["pdf_source"] == "arpilot_generated"
    assert str(invoice["invoice_number"]) in text_of(await fetched(client, invoice["id"]))


async def test_generating_again_over_its_own_changes_nothing(client: Client) -> None:
    invoice = await generated(client)

    again = (await client.post(f"/v1/invoices/{invoice['id']}?action=generate_pdf")).data

    assert again["version"] == invoice["version"]


async def test_a_generated_pdf_says_what_holds_when_it_is_fetched(client: Client) -> None:
    """Whatever happened since: other lines, another amount, a payment, a void. The link stays the same."""
    invoice = await generated(client)
    one = f"/v1/invoices/{invoice['id']}"
    seen = [text_of(await fetched(client, invoice["id"]))]

    lines = [{"description": "Grace period", "quantity": 3, "unit_price": 111.11}]
    await client.put(f"{one}/line-items", json={"line_items": lines})
    seen.append(text_of(await fetched(client, invoice["id"])))
    await client.post(f"{one}/record-payment", json={"amount": 333.33})
    seen.append(text_of(await fetched(client, invoice["id"])))
    again = (await client.post(f"{one}?action=generate_pdf")).data

    assert "Grace period" not in seen[0]
    assert "Grace period" in seen[1]
    assert "333.33" in seen[1]
    assert seen[1] != seen[2]
    assert text_of(await fetched(client, invoice["id"])) == seen[2]
    assert again["pdf_source"] == "arpilot_generated"


async def test_an_uploaded_pdf_stays_as_it_is_whatever_changes(client: Client) -> None:
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    one, pdf = f"/v1/invoices/{invoice['id']}", a_pdf()
    await client.post(f"{one}?action=upload_pdf", json={"pdf_base64": base64.b64encode(pdf).decode()})

    await client.patch(one, json={"memo": "Another"})
    await client.post(f"{one}/record-payment", json={})

    assert await fetched(client, invoice["id"]) == pdf


async def test_an_uploaded_pdf_replaces_and_is_not_rendered_over(client: Client) -> None:
    invoice, pdf = await generated(client), a_pdf()

    uploaded = await client.post(
        f"/v1/invoices/{invoice['id']}?action=upload_pdf", json={"pdf_base64": base64.b64encode(pdf).decode()}
    )
    over = await client.post(f"/v1/invoices/{invoice['id']}?action=generate_pdf")

    assert uploaded.data["pdf_source"] == "user_upload"
    assert await fetched(client, invoice["id"]) == pdf
    assert (over.status, over.code) == (409, "pdf_not_generated_here")


async def test_a_deleted_pdf_is_gone_with_its_link(client: Client) -> None:
    invoice = await generated(client)
    url = (await client.get(f"/v1/invoices/{invoice['id']}/pdf-link")).data["url"]

    deleted = (await client.post(f"/v1/invoices/{invoice['id']}?action=delete_pdf")).data

    assert deleted["pdf_source"] is None
    assert (await client.get(f"/v1/invoices/{invoice['id']}/pdf-link")).code == "pdf_not_found"
    async with client.session.get(url) as response:
        assert response.status == 404


async def test_what_is_no_pdf_is_refused(client: Client) -> None:
    invoice = await generated(client)

    for wrong in ("not base64!", base64.b64encode(b"plain text").decode(), ""):
        answer = await client.post(f"/v1/invoices/{invoice['id']}?action=upload_pdf", json={"pdf_base64": wrong})
        assert (answer.status, answer.code, answer.fields) == (422, "not_a_pdf", {"pdf_base64"})


async def test_a_link_expires_and_cannot_be_forged(client: Client, system: System) -> None:
    invoice = await generated(client)
    secret = SECRETS["ARPILOT_SECRET_KEY"]

    invoice_id = UUID(str(invoice["id"]))
    past = links.sign(secret, "pdf", client.tenant_id, invoice_id, expires_at=clock.now() - timedelta(seconds=1))
    other_purpose = links.sign(secret, "pay", client.tenant_id, invoice_id)
    other_key = links.sign("x" * 40, "pdf", client.tenant_id, invoice_id)

    for token in (past, other_purpose, other_key, "nonsense", other_key[:-2]):
        async with client.session.get(f"{system.base_url}/files/{token}") as response:
            assert response.status == 404, token


async def test_an_invoice_made_with_generate_pdf_has_one_soon(client: Client) -> None:
    invoice = await an_invoice(client, (await a_customer(client))["id"], generate_pdf=True)

    async def rendered() -> bool:
        return bool((await client.get(f"/v1/invoices/{invoice['id']}")).data["pdf_source"] == "arpilot_generated")

    assert await wait_for(rendered)


async def test_an_e_invoice_carries_the_xml_once_the_branding_is_complete(client: Client) -> None:
    rate = (await client.post("/v1/tax-rates", json={"name": "MVA", "rate": 0.25})).data
    lines = [{"description": "Consulting", "quantity": 3, "unit_price": 50, "tax_rate_id": rate["id"]}]
    invoice = await an_invoice(client, (await a_customer(client))["id"], line_items=lines, tax_type="inline")
    path = f"/v1/invoices/{invoice['id']}/e-invoice"

    incomplete = await client.get(path)
    branding = {"company_name": "Fjord AS", "address": "Bryggen 1\nBergen", "tax_id": "NO123456789MVA"}
    await client.patch("/v1/settings/invoicing", json={"branding": branding})
    complete = await client.get(path)
    xml = await client.get(f"{path}?format=xml")

    assert (incomplete.status, incomplete.code) == (422, "einvoice_incomplete")
    assert complete.status == 200, complete.body
    name, attached = facturx.get_facturx_xml_from_pdf(complete.body)
    assert name == "factur-x.xml"
    assert attached == xml.body
    assert b"37.50" in xml.body


async def test_another_tenants_documents_are_not_there(client: Client, system: System) -> None:
    invoice = await generated(client)
    stranger = await system.client()

    for path in ("pdf-link", "payment-link", "e-invoice"):
        assert (await stranger.get(f"/v1/invoices/{invoice['id']}/{path}")).status == 404
    assert (await stranger.post(f"/v1/invoices/{invoice['id']}?action=delete_pdf")).status == 404


async def test_a_credit_note_is_a_document_of_its_own(client: Client) -> None:
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    lines = [{"line_item_id": invoice["line_items"][0]["id"], "quantity": 1}]
    note = (
        await client.post(
            f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "Returned", "line_items": lines}
        )
    ).data

    text = text_of((await client.get(f"/v1/credit-notes/{note['id']}/pdf")).body).replace("\u00a0", " ")

    for wanted in (
        note["credit_note_number"],
        invoice["invoice_number"],
        "Consulting",
        "Returned",
        "Total credited USD 50.00",
    ):
        assert wanted in text, wanted
    assert (await client.get(f"/v1/credit-notes/{invoice['id']}/pdf")).status == 404
