"""Disputes through the API: the invoice's status, what a resolution does, and every refusal."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.harness import Client, wait_for
from tests.integration.invoices.scenes import (
    Json,
    a_credit_note,
    a_payment,
    an_invoice,
    balance,
    found,
    made,
    money,
    refused,
    the_invoice,
)

UNKNOWN = "018f0000-0000-7000-8000-000000000000"  # the same in each test process


async def a_dispute(client: Client, invoice_id: str, **fields: Any) -> Json:
    body = {"invoice_id": invoice_id, "reason": "Arrived broken"}
    return made(await client.post("/v1/disputes", json=body | fields))


async def resolve(client: Client, dispute_id: str, resolution: str) -> Json:
    return found(await client.post(f"/v1/disputes/{dispute_id}/resolve", json={"resolution": resolution}))


async def test_an_open_dispute_shows_in_the_invoices_status(client: Client) -> None:
    invoice = await an_invoice(client)

    dispute = await a_dispute(client, invoice["id"], notes="Photo attached")

    assert (dispute["status"], dispute["resolution"], dispute["notes"]) == ("open", None, "Photo attached")
    assert money(dispute["amount"]) == Decimal(100)
    assert (await the_invoice(client, invoice["id"]))["status"] == "in_dispute"


async def test_an_upheld_dispute_is_credited(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"], amount=30)

    resolved = await resolve(client, dispute["id"], "upheld")

    assert (resolved["status"], resolved["resolution"]) == ("resolved", "upheld")
    note = found(await client.get(f"/v1/credit-notes/{resolved['credit_note_id']}"))
    assert (money(note["amount"]), note["dispute_id"]) == (Decimal(30), dispute["id"])
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], money(after["amount_due"])) == ("partial", Decimal(70))
    assert await balance(client, "1100") == Decimal(70)


async def test_a_rejected_dispute_leaves_everything_owed(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])

    resolved = await resolve(client, dispute["id"], "rejected")

    assert (resolved["resolution"], resolved["credit_note_id"]) == ("rejected", None)
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], money(after["amount_due"])) == ("pending", Decimal(100))


async def test_what_was_paid_meanwhile_becomes_unapplied_credit(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])
    await a_payment(client, invoice["id"], 60)

    resolved = await resolve(client, dispute["id"], "upheld")

    note = found(await client.get(f"/v1/credit-notes/{resolved['credit_note_id']}"))
    assert (money(note["applied_amount"]), money(note["unapplied_amount"])) == (Decimal(40), Decimal(60))
    assert (await the_invoice(client, invoice["id"]))["status"] == "paid"


async def test_an_invoice_may_be_disputed_again_once_the_first_is_resolved(client: Client) -> None:
    invoice = await an_invoice(client)
    await resolve(client, (await a_dispute(client, invoice["id"]))["id"], "rejected")

    again = await a_dispute(client, invoice["id"])

    assert again["status"] == "open"


async def test_of_disputes_at_once_one_is_opened(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_id": invoice["id"], "reason": "Race"}

    answers = await asyncio.gather(*(client.post("/v1/disputes", json=body) for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


async def test_of_resolutions_at_once_one_counts(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"], amount=10)
    path = f"/v1/disputes/{dispute['id']}/resolve"

    answers = await asyncio.gather(*(client.post(path, json={"resolution": "upheld"}) for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    assert money((await the_invoice(client, invoice["id"]))["amount_due"]) == Decimal(90)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"invoice_id": UNKNOWN}, (404, "invoice_not_found", "invoice_id")),
        ({"invoice_id": "x"}, (422, "validation_failed", "invoice_id")),
        ({"reason": ""}, (422, "validation_failed", "reason")),
        ({"reason": "\t"}, (422, "validation_failed", "reason")),
        ({"amount": 0}, (422, "validation_failed", "amount")),
        ({"amount": 100.01}, (422, "dispute_exceeds_due", "amount")),
        ({"resolution": "upheld"}, (422, "validation_failed", "resolution")),
    ],
)
async def test_a_dispute_is_refused(client: Client, fields: Json, refusal: tuple[int, str, str]) -> None:
    invoice = await an_invoice(client)

    answer = await client.post("/v1/disputes", json={"invoice_id": invoice["id"], "reason": "x"} | fields)

    assert refused(answer) == refusal


async def test_a_second_open_dispute_is_refused(client: Client) -> None:
    invoice = await an_invoice(client)
    await a_dispute(client, invoice["id"], amount=1)

    answer = await client.post("/v1/disputes", json={"invoice_id": invoice["id"], "reason": "x"})

    assert refused(answer) == (409, "dispute_already_open", "invoice_id")


@pytest.mark.parametrize("how", ["draft", "paid", "credited"])
async def test_where_nothing_is_due_nothing_is_disputed(client: Client, how: str) -> None:
    invoice = await an_invoice(client, **({"status": "draft"} if how == "draft" else {}))
    if how == "paid":
        await a_payment(client, invoice["id"], 100)
    if how == "credited":
        await a_credit_note(client, invoice["id"])

    answer = await client.post("/v1/disputes", json={"invoice_id": invoice["id"], "reason": "x"})

    assert refused(answer) == (409, "nothing_to_dispute", "invoice_id")


async def test_a_resolved_dispute_stays_resolved(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])
    await resolve(client, dispute["id"], "rejected")

    answer = await client.post(f"/v1/disputes/{dispute['id']}/resolve", json={"resolution": "upheld"})

    assert refused(answer) == (409, "dispute_already_resolved", None)


async def test_a_dispute_of_what_was_credited_since_can_only_be_rejected(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"], amount=50)
    await a_credit_note(client, invoice["id"], amount=80)
    path = f"/v1/disputes/{dispute['id']}/resolve"

    assert refused(await client.post(path, json={"resolution": "upheld"}))[:2] == (422, "credit_exceeds_invoice")
    assert (await resolve(client, dispute["id"], "rejected"))["status"] == "resolved"


async def test_a_resolution_has_a_name(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])

    answer = await client.post(f"/v1/disputes/{dispute['id']}/resolve", json={"resolution": "maybe"})

    assert refused(answer) == (422, "validation_failed", "resolution")


async def test_an_unknown_dispute_is_not_found(client: Client) -> None:
    assert refused(await client.get(f"/v1/disputes/{UNKNOWN}")) == (404, "dispute_not_found", None)
    answer = await client.post(f"/v1/disputes/{UNKNOWN}/resolve", json={"resolution": "upheld"})
    assert refused(answer) == (404, "dispute_not_found", None)


async def test_disputes_are_found_by_status_invoice_and_customer(client: Client) -> None:
    first, second = await an_invoice(client), await an_invoice(client)
    resolved, open_ = await a_dispute(client, first["id"]), await a_dispute(client, second["id"])
    await resolve(client, resolved["id"], "rejected")

    async def listed(query: str) -> list[str]:
        answer = await client.get(f"/v1/disputes?{query}")
        return [dispute["id"] for dispute in answer.data]

    assert await listed("status=open") == [open_["id"]]
    assert await listed("status=resolved") == [resolved["id"]]
    assert await listed(f"invoice_id={first['id']}") == [resolved["id"]]
    assert await listed(f"customer_id={second['customer_id']}") == [open_["id"]]


async def test_a_deleted_customers_disputes_and_plans_go_with_it(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])
    plan_body = {"invoice_ids": [invoice["id"]], "instalments": [{"due_date": "2999-01-01", "amount": 100}]}
    plan = made(await client.post("/v1/payment-plans", json=plan_body))

    assert (await client.delete(f"/v1/customers/{invoice['customer_id']}?force=true")).status == 200

    async def is_gone() -> bool:
        dispute_gone = (await client.get(f"/v1/disputes/{dispute['id']}")).status == 404
        return dispute_gone and (await client.get(f"/v1/payment-plans/{plan['id']}")).status == 404

    await wait_for(is_gone)


async def test_a_dispute_of_a_voided_invoice_can_only_be_rejected(client: Client) -> None:
    invoice = await an_invoice(client)
    dispute = await a_dispute(client, invoice["id"])
    found(await client.post(f"/v1/invoices/{invoice['id']}/void"))
    path = f"/v1/disputes/{dispute['id']}/resolve"

    upheld = await client.post(path, json={"resolution": "upheld"})

    assert refused(upheld) == (409, "invoice_not_creditable", None)
    assert (await resolve(client, dispute["id"], "rejected"))["status"] == "resolved"
    assert (await the_invoice(client, invoice["id"]))["status"] == "cancelled"


async def test_a_voided_invoice_completes_its_plan(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_ids": [invoice["id"]], "instalments": [{"due_date": "2999-01-01", "amount": 100}]}
    plan = made(await client.post("/v1/payment-plans", json=body))

    found(await client.post(f"/v1/invoices/{invoice['id']}/void"))

    async def is_completed() -> bool:
        return bool(found(await client.get(f"/v1/payment-plans/{plan['id']}"))["status"] == "completed")

    await wait_for(is_completed)
