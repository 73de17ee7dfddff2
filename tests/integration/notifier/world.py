"""A tenant with a customer and an invoice, as the tests of documents and mails need them."""

from typing import Any

from tests.harness import Client


async def a_customer(client: Client, **fields: Any) -> dict[str, Any]:
    """A customer with one contact."""
    contact = {"contact_name": "Kari Nordmann", "email": "kari@nordlicht.example"}
    body = {"company_name": "Nordlicht AS", "address": "Karl Johans gate 1\n0154 Oslo\nNorway", "contacts": [contact]}
    answer = await client.post("/v1/customers", json={**body, **fields})
    data: dict[str, Any] = answer.data
    return data


async def an_invoice(client: Client, customer_id: str, **fields: Any) -> dict[str, Any]:
    """An issued invoice over 150.00."""
    body = {"customer_id": customer_id, "line_items": [{"description": "Consulting", "quantity": 3, "unit_price": 50}]}
    answer = await client.post("/v1/invoices", json={**body, **fields})
    data: dict[str, Any] = answer.data
    return data


async def system_template(client: Client, stage: str = "initial_send") -> str:
    """The id of the system's template for a stage."""
    listed = (await client.get(f"/v1/templates?template_stage={stage}")).data
    return str(listed[0]["id"])
