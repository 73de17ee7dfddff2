"""Scenes of a tenant with customers who owe, for the tests of payments."""

from decimal import Decimal
from typing import Any

from tests.harness import PATIENCE_SECONDS, Client, System, wait_for

Json = dict[str, Any]


async def a_customer(client: Client, name: str = "Northwind Trading LLC") -> Json:
    contact = {"contact_name": "Ada", "email": "ada@example.com"}
    made: Json = (await client.post("/v1/customers", json={"company_name": name, "contacts": [contact]})).data
    return made


async def an_invoice(client: Client, customer: Json, amount: float | str = 100, **fields: object) -> Json:
    body = {
        "customer_id": customer["id"],
        "amount": Decimal(str(amount)),
        "issue_date": "2026-11-01",
        "due_date": "2026-12-01",
        **fields,
    }
    made: Json = (await client.post("/v1/invoices", json=body)).data
    return made


async def a_payment(client: Client, amount: float | str = 100, **fields: object) -> Json:
    body = {"amount": Decimal(str(amount)), "payment_date": "2026-11-20", **fields}
    made: Json = (await client.post("/v1/payments", json=body)).data
    return made


async def payment(client: Client, made: Json) -> Json:
    found: Json = (await client.get(f"/v1/payments/{made['id']}")).data
    return found


async def invoice(client: Client, made: Json) -> Json:
    found: Json = (await client.get(f"/v1/invoices/{made['id']}")).data
    return found


async def due(client: Client, made: Json) -> Decimal:
    return Decimal((await invoice(client, made))["amount_due"])


async def settled(client: Client, made: Json, status: str = "matched", *, seconds: float = PATIENCE_SECONDS) -> Json:
    """The payment, once it has the status and nothing is pending."""

    async def has_it() -> Json | None:
        found = await payment(client, made)
        return found if found["status"] == status and found["match_status"] != "pending" else None

    found = await wait_for(has_it, seconds=seconds)
    assert found is not None
    return found


async def examined(client: Client, system: System, made: Json) -> Json:
    """The payment, once cash application has looked at it."""

    async def was_seen() -> bool:
        async with system.owner() as conn:
            row = await conn.fetchrow(
                "select queued_at from payments.waiting_payments where tenant_id = $1 and payment_id = $2",
                client.tenant_id,
                made["id"],
            )
        return row is not None and row["queued_at"] is None

    await wait_for(was_seen)
    return await payment(client, made)


async def known(client: Client, system: System, *invoices: Json) -> None:
    """Wait until our copy has these invoices."""

    async def has_them() -> bool:
        async with system.owner() as conn:
            count = await conn.fetchval(
                "select count(*) from payments.known_invoices where tenant_id = $1 and id = any($2::uuid[])",
                client.tenant_id,
                [made["id"] for made in invoices],
            )
        return bool(count == len(invoices))

    await wait_for(has_them)


async def manual(client: Client) -> None:
    """Turn automatic matching off."""
    assert (await client.patch("/v1/settings/matching", json={"auto_match": False})).status == 200
