"""What an invoice is made from is remembered between requests, and never used once it has changed."""

from typing import Any

import pytest

from tests.harness import Answer, Client, wait_for
from tests.integration.invoices.scenes import a_customer, an_invoice, found, made

Json = dict[str, Any]


@pytest.fixture
async def body(client: Client) -> Json:
    """A request that names all that can be named, sent often enough that its facts are known."""
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.1}))
    product = made(
        await client.post("/v1/products", json={"name": "Hour", "unit_price": 100, "tax_rate_id": rate["id"]})
    )
    request = {
        "customer_id": (await a_customer(client))["id"],
        "tax_type": "inline",
        "line_items": [{"description": "Work", "quantity": 1, "product_id": product["id"]}],
    }
    for _ in range(2):
        assert made(await client.post("/v1/invoices", json=request))["amount"] == 110
    return request


async def create(client: Client, body: Json) -> Answer:
    return await client.post("/v1/invoices", json=body)


def product_of(body: Json) -> str:
    return f"/v1/products/{body['line_items'][0]['product_id']}"


async def test_a_new_price_counts_from_the_next_invoice_on(client: Client, body: Json) -> None:
    found(await client.patch(product_of(body), json={"unit_price": 200}))

    assert made(await create(client, body))["amount"] == 220


async def test_a_new_tax_rate_counts_from_the_next_invoice_on(client: Client, body: Json) -> None:
    rate = found(await client.get(product_of(body)))["tax_rate_id"]
    found(await client.patch(f"/v1/tax-rates/{rate}", json={"rate": 0.2}))

    assert made(await create(client, body))["amount"] == 120


async def test_a_product_that_is_gone_is_refused_at_once(client: Client, body: Json) -> None:
    assert (await client.delete(product_of(body))).status == 200

    answer = await create(client, body)

    assert (answer.status, answer.code) == (404, "product_not_found")


async def test_a_new_prefix_counts_from_the_next_number_on(client: Client, body: Json) -> None:
    found(await client.patch("/v1/settings/invoicing", json={"invoice_prefix": "R"}))

    assert made(await create(client, body))["invoice_number"].startswith("R-")


async def test_a_customer_s_new_name_is_on_invoices_once_it_is_known(client: Client, body: Json) -> None:
    found(await client.patch(f"/v1/customers/{body['customer_id']}", json={"company_name": "Renamed Ltd"}))

    async def renamed() -> bool:
        name: str = made(await create(client, body))["customer_name"]
        return name == "Renamed Ltd"

    await wait_for(renamed)


async def test_what_was_unknown_may_be_known_at_the_next_request(client: Client, body: Json) -> None:
    assert (await client.delete(product_of(body))).status == 200
    assert (await create(client, body)).status == 404
    again = made(await client.post("/v1/products", json={"name": "Day", "unit_price": 500}))

    lines = [{"description": "Work", "quantity": 1, "product_id": again["id"]}]
    invoice = await an_invoice(client, customer_id=body["customer_id"], line_items=lines)

    assert invoice["amount"] == 500
