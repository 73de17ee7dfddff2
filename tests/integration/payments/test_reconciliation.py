"""The reconciliation queue: one change for each bookable fact."""

import json
from decimal import Decimal
from typing import Any

from services.payments.reconciliation import consumers
from shared import events
from tests.harness import Client, System, wait_for
from tests.integration.payments.book import a_customer, a_payment, an_invoice, manual


async def queued(client: Client, count: int, query: str = "") -> list[dict[str, Any]]:
    """The queue, the oldest change first, once it has so many."""

    async def has_them() -> list[dict[str, Any]] | None:
        found = (await client.get(f"/v1/reconciliation?sort=created_at&order=asc&per_page=100{query}")).data
        return found if len(found) >= count else None

    found = await wait_for(has_them)
    assert found is not None
    assert len(found) == count, [change["source"] for change in found]
    return found


def booking(change: dict[str, Any]) -> dict[str, Decimal]:
    """Debits less credits by account code."""
    return {line["account_code"]: Decimal(line["debit"]) - Decimal(line["credit"]) for line in change["lines"]}


async def test_each_step_of_a_receivable_is_one_balanced_change(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 100)
    made = await a_payment(client, 150)
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})
    await client.post(f"/v1/payments/{made['id']}/refund", json={"amount": 20})
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": None})
    await client.patch(f"/v1/invoices/{owed['id']}", json={"amount": 120})
    await client.post(f"/v1/invoices/{owed['id']}/void")

    changes = {change["change_type"]: change for change in await queued(client, 6)}

    assert booking(changes["invoice_issued"]) == {"1100": 100, "4000": -100}
    assert booking(changes["payment_applied"]) == {"2200": 100, "1100": -100}
    assert booking(changes["refund"]) == {"2200": 20, "1000": -20}
    assert booking(changes["payment_unapplied"]) == {"1100": 100, "2200": -100}
    assert booking(changes["invoice_changed"]) == {"1100": 20, "4000": -20}
    assert booking(changes["invoice_voided"]) == {"1100": -120, "4000": 120}
    applied = changes["payment_applied"]
    assert (applied["amount_before"], applied["amount_after"]) == (100, 0)
    assert applied["actor"].startswith("key:")
    assert (changes["invoice_changed"]["amount_before"], changes["invoice_changed"]["amount_after"]) == (100, 120)
    assert {change["approval_status"] for change in changes.values()} == {"approved"}


async def test_a_draft_is_not_bookable_until_it_is_issued(client: Client) -> None:
    draft = await an_invoice(client, await a_customer(client), 100, status="draft")
    await client.patch(f"/v1/invoices/{draft['id']}", json={"amount": 130})
    await client.post(f"/v1/invoices/{draft['id']}/publish")

    (change,) = await queued(client, 1)

    assert (change["change_type"], change["amount_after"]) == ("invoice_issued", 130)


async def test_filters_narrow_the_queue(client: Client) -> None:
    customer = await a_customer(client)
    first, second = await an_invoice(client, customer, 1), await an_invoice(client, await a_customer(client), 2)
    changes = await queued(client, 2)
    await client.post("/v1/reconciliation", json={"action": "mark_synced", "change_ids": [changes[0]["id"]]})

    assert len(await queued(client, 1, f"&invoice_id={second['id']}")) == 1
    assert (await queued(client, 1, f"&customer_id={customer['id']}"))[0]["invoice_id"] == first["id"]
    assert len(await queued(client, 1, "&sync_status=pending")) == 1
    assert len(await queued(client, 2, "&change_type=invoice_issued,refund")) == 2
    assert (await client.get("/v1/reconciliation?change_type=nonsense")).status == 400


async def test_marking_is_all_or_nothing_and_names_the_unknown(client: Client) -> None:
    await an_invoice(client, await a_customer(client), 1)
    (change,) = await queued(client, 1)
    unknown = "00000000-0000-7000-8000-000000000000"

    def mark(action: str, *ids: str, **more: str) -> dict[str, object]:
        return {"action": action, "change_ids": list(ids), **more}

    refused = await client.post("/v1/reconciliation", json=mark("mark_synced", change["id"], unknown))
    silent = await client.post("/v1/reconciliation", json=mark("mark_failed", change["id"]))
    untouched = (await client.get(f"/v1/reconciliation/{change['id']}")).data
    failed = await client.post("/v1/reconciliation", json=mark("mark_failed", change["id"], error_message="no period"))
    synced = await client.post("/v1/reconciliation", json=mark("mark_synced", change["id"]))

    assert (refused.status, refused.code) == (404, "change_not_found")
    assert unknown in refused.json["detail"]
    assert change["id"] not in refused.json["detail"]
    assert (silent.status, silent.fields) == (422, {"error_message"})
    assert untouched["sync_status"] == "pending"
    assert failed.data["changes"][0]["error_message"] == "no period"
    assert (synced.data["updated"], synced.data["changes"][0]["sync_status"]) == (1, "synced")
    assert synced.data["changes"][0]["error_message"] is None
    assert (await client.post("/v1/reconciliation", json=mark("mark_synced"))).status == 422


async def test_a_write_off_above_the_limit_waits_for_approval(client: Client) -> None:
    assert (await client.get("/v1/settings/reconciliation")).data == {"approval_limit": None}
    await client.patch("/v1/settings/reconciliation", json={"approval_limit": 50})
    customer = await a_customer(client)
    small, large = await an_invoice(client, customer, 50), await an_invoice(client, customer, 51)
    for owed in (small, large):
        assert (await client.post(f"/v1/invoices/{owed['id']}/write-off", json={"reason": "gone"})).status == 200

    (waiting,) = await queued(client, 1, "&approval_status=waiting")
    await queued(client, 3)
    early = await client.post("/v1/reconciliation", json={"action": "mark_synced", "change_ids": [waiting["id"]]})
    approved = (await client.post(f"/v1/reconciliation/{waiting['id']}/approve")).data
    again = (await client.post(f"/v1/reconciliation/{waiting['id']}/approve")).data

    assert (waiting["change_type"], waiting["invoice_id"]) == ("write_off", large["id"])
    assert booking(waiting) == {"6100": 51, "1100": -51}
    assert (early.status, early.code) == (409, "change_not_approved")
    assert (approved["approval_status"], again) == ("approved", approved)
    assert len(await queued(client, 4)) == 4


async def test_a_credit_note_is_one_change(client: Client) -> None:
    owed = await an_invoice(client, await a_customer(client), 100)
    note = await client.post(f"/v1/invoices/{owed['id']}/credit-notes", json={"reason": "broken", "amount": 30})
    assert note.status == 201, note.body

    changes = await queued(client, 2)

    assert [change["change_type"] for change in changes] == ["invoice_issued", "credit_note_issued"]
    assert sum(booking(changes[1]).values()) == 0
    assert changes[1]["credit_note_id"] == note.data["id"]


async def test_the_same_event_twice_makes_one_change(client: Client, system: System) -> None:
    """Bus and inbox guard against it already; the queue does not rely on them."""
    await an_invoice(client, await a_customer(client), 100)
    await queued(client, 1)
    data = (await client.get("/v1/events?type=invoice.created")).data

    runtime = system.process.runtimes["payments"]
    event = events.decode(
        json.dumps(
            {
                "specversion": "1.0",
                "id": data[0]["id"],
                "source": "/arpilot/invoices",
                "type": "invoice.created",
                "subject": data[0]["data"]["id"],
                "time": data[0]["timestamp"],
                "tenantid": str(client.tenant_id),
                "sequence": 1,
                "data": data[0]["data"],
            },
            default=float,
        )
    )
    async with runtime.database.transaction() as conn:
        await consumers.queue_facts(conn, [event, event])

    await queued(client, 1)


async def test_another_tenants_change_is_not_there(client: Client, system: System) -> None:
    await an_invoice(client, await a_customer(client), 1)
    (change,) = await queued(client, 1)
    stranger = await system.client()

    assert (await stranger.get(f"/v1/reconciliation/{change['id']}")).status == 404
    assert (await stranger.post(f"/v1/reconciliation/{change['id']}/approve")).status == 404
    assert (await stranger.get("/v1/reconciliation")).data == []


async def test_the_queue_needs_its_own_scope(client: Client, system: System) -> None:
    reader = await system.client(client.tenant_id, scopes=("reconciliation:read",))

    assert (await reader.get("/v1/reconciliation")).status == 200
    refused = await reader.post("/v1/reconciliation", json={"action": "mark_synced", "change_ids": ["x"]})
    assert refused.status == 403
