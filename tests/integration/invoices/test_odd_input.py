"""Whatever a client sends is either done or refused with a reason; it never breaks the service."""

from typing import Any

import pytest

from services.invoices.issuing.requests import InvoiceCreate, InvoicePatch, LineCreate
from tests.harness import Client
from tests.integration.invoices.scenes import a_customer, an_invoice

ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "x" * 600,
    "\x00",
    "\ud83d\ude00 \u202e",
    0,
    -1,
    0.000001,
    9999999999.99,
    1e300,
    True,
    [],
    ["\u00fc"] * 3,
    {},
    [{}],
    [None],
    "0001-01-01",
    "9999-12-31",
    "2026-02-29",
    "00000000-0000-0000-0000-000000000000",
    "percentage",
    "inline",
    "paid",
    "EUR",
)
LINE = {"description": "Work", "unit_price": 10}


async def must_not_break(client: Client, method: str, path: str, body: Any) -> None:
    answer = await client.request(method, path, json=body)
    assert answer.status < 500, f"{method} {body}: {answer.body.decode()}"
    if answer.status >= 400:
        assert answer.code


@pytest.mark.parametrize("field", InvoiceCreate.__struct_fields__)
async def test_an_odd_value_of_a_field_does_not_break_the_making_of_an_invoice(client: Client, field: str) -> None:
    customer = (await a_customer(client))["id"]
    for value in ODD:
        for base in ({"amount": 100}, {"line_items": [LINE]}):
            await must_not_break(client, "POST", "/v1/invoices", {"customer_id": customer} | base | {field: value})


@pytest.mark.parametrize("field", LineCreate.__struct_fields__)
async def test_an_odd_value_in_a_line_does_not_break_it_either(client: Client, field: str) -> None:
    invoice = await an_invoice(client, line_items=[LINE])
    line_id = invoice["line_items"][0]["id"]
    path = f"/v1/invoices/{invoice['id']}"
    for value in ODD:
        line = LINE | {field: value}
        await must_not_break(
            client, "POST", "/v1/invoices", {"customer_id": invoice["customer_id"], "line_items": [line]}
        )
        await must_not_break(client, "PATCH", path, {"line_items": [{"id": line_id, field: value}]})
        await must_not_break(client, "PUT", f"{path}/line-items", {"line_items": [line]})
        line_id = (await client.get(path)).data["line_items"][0]["id"]


@pytest.mark.parametrize("field", InvoicePatch.__struct_fields__)
async def test_an_odd_value_of_a_field_does_not_break_a_change(client: Client, field: str) -> None:
    customer = (await a_customer(client))["id"]
    invoices = [await an_invoice(client, customer_id=customer, status=status) for status in ("pending", "draft")]
    invoices.append(await an_invoice(client, customer_id=customer, line_items=[LINE]))
    for value in ODD:
        for invoice in invoices:
            await must_not_break(client, "PATCH", f"/v1/invoices/{invoice['id']}", {field: value})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"amount": 1e999999}', b"[" * 5000, b'{"a":NaN}']
)
async def test_a_body_that_is_not_what_it_should_be_is_refused(client: Client, body: bytes) -> None:
    invoice = await an_invoice(client)
    headers = {"Content-Type": "application/json"}
    for method, path in (
        ("POST", "/v1/invoices"),
        ("POST", "/v1/invoices/bulk"),
        ("PATCH", f"/v1/invoices/{invoice['id']}"),
        ("POST", f"/v1/invoices/{invoice['id']}?action=send"),
        ("POST", f"/v1/invoices/{invoice['id']}/void"),
    ):
        answer = await client.request(method, path, data=body, headers=headers)
        harmless = (path.endswith("bulk") and body == b"[]") or (path.endswith("void") and not body)
        assert answer.status in ({200} if harmless else {400, 409, 422}), f"{method} {path} {body!r}: {answer.body!r}"
