"""Clients that send what no client should: slowly, too much, to strange addresses, and what others then are shown."""

import asyncio

import pytest

from shared.http import server
from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import a_customer, an_invoice

EVIL = "<script>alert(1)</script>\r\nBcc: eve@example.com"


async def raw(system: System, sent: bytes, *, until: bytes = b"") -> bytes:
    """What a connection answers until it is closed, or until something is said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", system.process.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.readuntil(until) if until else reader.read(), 30)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../internal/letters",
        "/v1/%2e%2e/internal/letters",
        "/v1/customers/..%2f..%2finternal%2fletters",
        "/v1/customers/%00",
        "/v1/customers/%c0%ae%c0%ae",
        "/v1//customers",
        "//v1/customers",
        "/v1/customers;x=1",
        "/V1/CUSTOMERS",
        "/files/../../../../etc/passwd",
        "/dev/mail/..%2f..%2f/etc",
        "/v1/customers/" + "a" * 7000,
    ],
)
async def test_a_trick_with_the_path_reaches_nothing(system: System, client: Client, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {client.key}\r\n\r\n"

    answer = await raw(system, head.encode())

    assert answer.split(b" ")[1] in (b"400", b"401", b"404"), answer[:300]


async def test_a_body_that_comes_too_slowly_is_given_up(
    system: System, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.2)
    head = (
        f"POST /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\nContent-Length: 900\r\n\r\n{{"
    )

    answer = await raw(system, head.encode(), until=b"body_too_slow")

    assert answer.startswith(b"HTTP/1.1 408"), answer[:300]


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n", b"5\r\n{}\r\n0\r\n\r\n"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/payments/import"])
async def test_a_body_in_broken_chunks_is_refused(system: System, client: Client, path: str, chunks: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"

    answer = await raw(system, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks, until=b"\r\n\r\n")

    assert answer.split(b" ")[1] == b"400", answer


async def test_a_request_that_means_two_things_is_refused(system: System, client: Client) -> None:
    """Both a length and chunks: a gateway and a service that read it differently would see different requests."""
    head = f"POST /v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"

    for two in ("Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 4\r\nContent-Length: 5"):
        answer = await raw(system, f"{head}{two}\r\n\r\n0\r\n\r\n".encode(), until=b"\r\n\r\n")
        assert answer.split(b" ")[1] == b"400", answer


@pytest.mark.parametrize(
    "headers",
    ["".join(f"X-{n}: {'a' * 1000}\r\n" for n in range(500)), f"X-Long: {'a' * 100_000}\r\n"],
    ids=["many", "long"],
)
async def test_a_flood_of_headers_is_refused_and_others_are_served(
    system: System, client: Client, headers: str
) -> None:
    answer = await raw(system, f"GET /v1/customers HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())

    assert answer.split(b" ")[1] in (b"400", b"401", b"431"), answer[:300]
    assert (await client.get("/v1/customers")).status == 200


@pytest.mark.parametrize("name", ["X-Request-Id", "traceparent", "Idempotency-Key", "If-Match"])
async def test_a_header_sent_never_becomes_a_header_of_its_own_in_the_answer(
    system: System, client: Client, name: str
) -> None:
    sent = f"GET /v1/customers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{name}: a\x0bSet-Cookie: b=c\r\n\r\n"

    assert b"\nset-cookie" not in (await raw(system, sent.encode())).lower()


async def test_names_that_are_formulas_are_texts_in_a_spreadsheet(client: Client) -> None:
    customer = await a_customer(client, company_name='=HYPERLINK("http://evil","pay")')
    await an_invoice(client, customer_id=customer["id"], invoice_number="@SUM(A1)")

    async def shown() -> bytes:
        body = (await client.get("/v1/reports/aging?format=csv")).body
        return body if b"HYPERLINK" in body else b""

    for csv in (
        await wait_for(shown),
        (await client.get(f"/v1/reports/statement?format=csv&customer_id={customer['id']}")).body,
    ):
        cells = [cell.strip('"') for line in csv.decode("utf-8-sig").splitlines() for cell in line.split(",")]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))], csv


async def test_html_in_names_and_templates_is_text_in_a_mail_and_makes_no_header(client: Client) -> None:
    contact = {"contact_name": "Ada <b>", "email": "ada@example.com"}
    customer = await a_customer(client, company_name=EVIL.replace("\r\n", " "), contacts=[contact])
    invoice = await an_invoice(client, customer_id=customer["id"])
    words = {"subject": "{{ customer.name }}", "html": "<p>{{ customer.name }}</p>", "text": "{{ customer.name }}"}
    template = await client.post("/v1/templates", json={"name": "Evil", **words})
    await client.post(f"/v1/invoices/{invoice['id']}/send", json={"template_id": template.data["id"]})

    async def sent() -> str:
        rows = (await client.get(f"/v1/communications?invoice_id={invoice['id']}")).data
        return str(rows[0]["id"]) if rows and rows[0]["status"] == "sent" else ""

    mail = await wait_for(sent, seconds=30)
    body = await client.get(f"/dev/mail/{client.tenant_id}/{mail}/body")

    assert b"<script" not in body.body
    assert b"&lt;script" in body.body, body
