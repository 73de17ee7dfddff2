"""What time does to invoices, and what others are told of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.invoices.settlement.jobs import mark_overdue
from shared.jobs import SomeFailed
from tests.harness import Client, System, wait_for
from tests.integration.invoices.broken_rows import broken
from tests.integration.invoices.scenes import a_customer, an_invoice, the_invoice


async def announced(client: Client, invoice_id: str) -> list[dict[str, Any]]:
    """The events about an invoice in the tenant's log, oldest first."""
    answer = await client.get("/v1/events?limit=100")
    events = [event for event in answer.data if event["data"].get("id") == invoice_id]
    return sorted(events, key=lambda event: event["id"])


async def age(system: System, invoice_id: str, *, due_days_ago: int) -> None:
    """Let an invoice have become due that long ago, as if time had passed."""
    async with system.owner() as conn:
        await conn.execute(
            "update invoices.invoices set due_date = current_date - $2::int where id = $1", invoice_id, due_days_ago
        )


async def test_the_clock_makes_late_invoices_overdue_once(client: Client, system: System) -> None:
    customer = (await a_customer(client))["id"]
    invoices = [await an_invoice(client, customer_id=customer) for _ in range(3)]
    _, partial, pinned = (invoice["id"] for invoice in invoices)
    await client.patch(f"/v1/invoices/{partial}", json={"amount_due": 50})
    await client.post(f"/v1/invoices/{pinned}/status", json={"status": "pending"})
    for invoice in invoices:
        await age(system, invoice["id"], due_days_ago=2)

    for _ in range(2):
        await mark_overdue(system.process.runtimes["invoices"])

    states = [await the_invoice(client, invoice["id"]) for invoice in invoices]
    assert [state["status"] for state in states] == ["overdue", "overdue", "pending"]
    assert [state["version"] for state in states] == [2, 3, 2]


async def test_an_invoice_that_cannot_become_overdue_holds_up_no_other(client: Client, system: System) -> None:
    customer = (await a_customer(client))["id"]
    invoices = [(await an_invoice(client, customer_id=customer))["id"] for _ in range(3)]
    for days, invoice_id in zip((9, 5, 2), invoices, strict=True):
        await age(system, invoice_id, due_days_ago=days)

    async with broken(system, "invoices.invoices", invoices[0]):
        with pytest.raises(SomeFailed):
            await mark_overdue(system.process.runtimes["invoices"])
        during = [(await the_invoice(client, invoice_id))["status"] for invoice_id in invoices]
    await mark_overdue(system.process.runtimes["invoices"])

    assert during == ["pending", "overdue", "overdue"]
    assert (await the_invoice(client, invoices[0]))["status"] == "overdue"


async def test_due_today_is_not_late_where_the_tenant_is(system: System) -> None:
    for timezone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        client = await system.client(timezone=timezone)
        invoice = await an_invoice(client)
        await age(system, invoice["id"], due_days_ago=0)
        today_there = datetime.now(UTC) + timedelta(hours=14 if timezone.endswith("Kiritimati") else -11)

        await mark_overdue(system.process.runtimes["invoices"])

        late = today_there.date() > datetime.now(UTC).date()
        assert (await the_invoice(client, invoice["id"]))["status"] == ("overdue" if late else "pending")


async def test_every_change_is_announced_with_the_whole_invoice_and_what_changed(client: Client) -> None:
    invoice = await an_invoice(client, status="draft")
    await client.post(f"/v1/invoices/{invoice['id']}/publish")
    await client.patch(f"/v1/invoices/{invoice['id']}", json={"memo": "hello"})
    await client.patch(f"/v1/invoices/{invoice['id']}", json={"status": "paid"})
    after = await the_invoice(client, invoice["id"])

    async def all_there() -> list[dict[str, Any]]:
        events = await announced(client, invoice["id"])
        return events if len(events) >= 6 else []

    events = await wait_for(all_there)
    assert sorted(event["type"] for event in events) == [
        "invoice.created",
        "invoice.issued",
        "invoice.paid",
        "invoice.updated",
        "invoice.updated",
        "invoice.updated",
    ]
    updates = sorted(
        (event["data"] for event in events if event["type"] == "invoice.updated"), key=lambda data: data["version"]
    )
    assert updates[1]["changes"] == {"memo": [None, "hello"]}
    assert updates[2]["changes"]["status"] == ["pending", "paid"]
    assert {name: value for name, value in updates[2].items() if name != "changes"} == after


async def test_a_customer_that_is_renamed_is_billed_by_its_new_name(client: Client) -> None:
    customer = await a_customer(client)
    await an_invoice(client, customer_id=customer["id"])
    await client.patch(f"/v1/customers/{customer['id']}", json={"company_name": "Ada & Sons"})

    async def billed_by_new_name() -> bool:
        invoice = await an_invoice(client, customer_id=customer["id"])
        return bool(invoice["customer_name"] == "Ada & Sons")

    assert await wait_for(billed_by_new_name)


async def test_a_deleted_customer_takes_its_invoices_along_but_not_the_journal(client: Client) -> None:
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer_id=customer["id"])
    open_still = await client.delete(f"/v1/customers/{customer['id']}")
    assert open_still.status == 409

    assert (await client.delete(f"/v1/customers/{customer['id']}?force=true")).status == 200

    async def gone() -> bool:
        return (await client.get(f"/v1/invoices/{invoice['id']}")).status == 404

    assert await wait_for(gone)
    entries = (await client.get(f"/v1/ledger/entries?invoice_id={invoice['id']}")).data
    assert len(entries) == 2
    assert (await client.get("/v1/invoices?archived=any")).json["pagination"]["total"] == 0
    again = await client.post("/v1/invoices", json={"customer_id": customer["id"], "amount": 1})
    assert (again.status, again.code) == (404, "customer_not_found")
