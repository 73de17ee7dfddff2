"""Payments over HTTP: taken in, found again, paid back."""

import asyncio
import json
from typing import Any

import pytest

from tests.harness import PATIENCE_SECONDS, Answer, Client, System
from tests.integration.payments.book import a_customer, a_payment, an_invoice, manual, payment


async def test_a_payment_comes_back_as_it_was_made(client: Client) -> None:
    made = await a_payment(
        client,
        12.34,
        payment_method="wire",
        payer_name="Acme",
        payer_reference="Thanks",
        external_payment_id="bank-1",
        notes="n",
    )

    answer = await client.get(f"/v1/payments/{made['id']}")

    assert answer.data == made
    assert answer.headers["ETag"] == '"1"'
    assert (made["status"], made["match_status"], made["currency"]) == ("unmatched", "none", "USD")
    assert (made["unapplied_amount"], made["allocations"], made["refunds"]) == (made["amount"], [], [])


async def test_the_same_external_id_again_is_refused_naming_the_first(client: Client) -> None:
    first = await a_payment(client, external_payment_id="bank-1")

    again = await client.post(
        "/v1/payments", json={"amount": 1, "payment_date": "2026-11-01", "external_payment_id": "bank-1"}
    )

    assert (again.status, again.code, again.fields) == (409, "external_payment_id_taken", {"external_payment_id"})
    assert first["id"] in again.json["detail"]


async def test_the_same_external_id_at_the_same_moment_is_taken_once(client: Client) -> None:
    body = {"amount": 1, "payment_date": "2026-11-01", "external_payment_id": "bank-1"}

    answers = await asyncio.gather(*(client.post("/v1/payments", json=body) for _ in range(8)))

    assert sorted(answer.status for answer in answers) == [201, *[409] * 7]


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    answer = await client.post(
        "/v1/payments", json={"amount": 0, "payment_date": "2026-13-01", "payr_name": "x", "currency": "dollar"}
    )

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.fields == {"amount", "payment_date", "payr_name", "currency"}


@pytest.mark.parametrize("amount", [0.001, -1, "1", 10_000_000_000, True, None])
async def test_an_amount_is_a_positive_number_of_cents(client: Client, amount: object) -> None:
    body = json.dumps({"amount": amount, "payment_date": "2026-11-01"})

    answer = await client.post("/v1/payments", data=body, headers={"Content-Type": "application/json"})

    assert (answer.status, answer.fields) == (422, {"amount"})


async def test_each_filter_narrows_the_list(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 100)
    first = await a_payment(client, 100, payment_date="2026-01-10", payer_name="Ada 100%")
    second = await a_payment(client, 150, payment_date="2026-02-10", payer_reference="for Bob")
    third = await a_payment(client, 300, payment_date="2026-03-10", external_payment_id="x_9")
    matched = (await client.patch(f"/v1/payments/{second['id']}", json={"invoice_id": owed["id"]})).data
    await client.patch(f"/v1/payments/{third['id']}", json={"reviewed": True})

    async def found(query: str) -> list[str]:
        rows = (await client.get(f"/v1/payments?{query}&sort=amount")).data
        return [row["id"] for row in rows]

    a, b, c = first["id"], second["id"], third["id"]
    assert await found("") == [a, b, c]
    assert await found("status=unmatched") == [a, c]
    assert await found("status=partially_matched,matched") == [b]
    assert await found(f"invoice_id={owed['id']}") == [b]
    assert await found(f"customer_id={matched['customer_id']}") == [b]
    assert await found("reviewed=true") == [c]
    assert await found("payment_date_start=2026-02-01&payment_date_end=2026-02-28") == [b]
    assert await found("amount_min=150&amount_max=300") == [b, c]
    assert await found("search=bob") == [b]
    assert await found("search=100%25") == [a]
    assert await found("search=x_9") == [c]


async def test_lists_read_by_pages_and_by_cursors_agree_and_leave_out_allocations(client: Client) -> None:
    await manual(client)
    for amount in range(1, 6):
        await a_payment(client, amount)

    page = (await client.get("/v1/payments?per_page=2&page=2")).json
    first = (await client.get("/v1/payments?limit=2")).json
    second = (await client.get(f"/v1/payments?limit=2&after={first['pagination']['end_cursor']}")).json

    assert (page["pagination"]["total"], page["pagination"]["total_pages"]) == (5, 3)
    assert page["data"] == second["data"]
    assert "allocations" not in page["data"][0]


@pytest.mark.parametrize("query", ["status=lost", "amount_min=x", "invoice_id=1", "sort=notes", "colour=red"])
async def test_a_wrong_query_is_refused(client: Client, query: str) -> None:
    assert (await client.get(f"/v1/payments?{query}")).status == 400


async def test_another_tenants_payment_is_not_there(client: Client, system: System) -> None:
    made = await a_payment(client)
    stranger = await system.client()

    assert (await stranger.get(f"/v1/payments/{made['id']}")).status == 404
    assert (await stranger.post(f"/v1/payments/{made['id']}/refund")).status == 404
    assert (await stranger.patch(f"/v1/payments/{made['id']}", json={"notes": "mine"})).status == 404


async def test_a_refund_pays_back_what_is_unapplied_and_no_more(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 60)
    made = await a_payment(client, 100)
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})
    path = f"/v1/payments/{made['id']}/refund"

    too_much = await client.post(path, json={"amount": 40.01})
    part = (await client.post(path, json={"amount": 15, "date": "2026-11-20", "reason": "asked for"})).data
    rest = (await client.post(path)).data
    nothing = await client.post(path)

    assert (too_much.status, too_much.code, too_much.fields) == (422, "refund_exceeds_unapplied", {"amount"})
    assert (part["refunded_amount"], part["unapplied_amount"]) == (15, 25)
    assert [refund["amount"] for refund in rest["refunds"]] == [15, 25]
    assert (rest["status"], rest["unapplied_amount"]) == ("matched", 0)
    assert (nothing.status, nothing.code) == (409, "nothing_unapplied")


async def test_two_refunds_at_once_pay_back_once(client: Client) -> None:
    await manual(client)
    made = await a_payment(client, 100)

    answers = await asyncio.gather(
        *(client.post(f"/v1/payments/{made['id']}/refund", json={"amount": 100}) for _ in range(3))
    )

    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert (await payment(client, made))["refunded_amount"] == 100


async def test_bulk_answers_row_by_row(client: Client) -> None:
    await a_payment(client, external_payment_id="old")
    good = {"amount": 1, "payment_date": "2026-11-01"}

    answer = await client.post(
        "/v1/payments/bulk",
        json=[
            {**good, "external_payment_id": "new"},
            {**good, "external_payment_id": "new"},
            {**good, "external_payment_id": "old"},
            {"amount": -1, "payment_date": "2026-11-01"},
            "nonsense",
            good,
        ],
    )

    rows = answer.data
    assert [row["status"] for row in rows] == ["created", "refused", "refused", "refused", "refused", "created"]
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert answer.json["summary"] == {"created": 2, "refused": 4}
    assert [row["problem"]["code"] for row in rows[1:5]] == [
        "external_payment_id_taken",
        "external_payment_id_taken",
        "validation_failed",
        "validation_failed",
    ]
    assert rows[0]["id"] in rows[1]["problem"]["detail"]


async def test_bulk_takes_ndjson_up_to_ten_thousand_rows(client: Client) -> None:
    await manual(client)
    line = b'{"amount": 1.5, "payment_date": "2026-11-01"}\n'
    headers = {"Content-Type": "application/x-ndjson"}

    answer = await client.post("/v1/payments/bulk", data=line * 1_999 + b"{broken\n", headers=headers)
    too_many = await client.post("/v1/payments/bulk", data=line * 10_001, headers=headers)
    no_list = await client.post("/v1/payments/bulk", json={"amount": 1})

    assert answer.json["summary"] == {"created": 1_999, "refused": 1}
    assert answer.data[-1]["problem"]["code"] == "malformed_json"
    assert (too_many.status, too_many.code) == (422, "bulk_too_many")
    assert (no_list.status, no_list.code) == (422, "bulk_not_a_list")


async def test_a_retry_with_the_same_key_makes_one_payment(client: Client) -> None:
    body, headers = {"amount": 1, "payment_date": "2026-11-01"}, {"Idempotency-Key": "once"}

    first = await client.post("/v1/payments", json=body, headers=headers)
    second = await client.post("/v1/payments", json=body, headers=headers)

    assert first.json == second.json
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_one_key_sent_at_once_makes_one_payment(client: Client) -> None:
    body, headers = {"amount": 1, "payment_date": "2026-11-01"}, {"Idempotency-Key": "k"}

    answers = await asyncio.gather(*(client.post("/v1/payments", json=body, headers=headers) for _ in range(10)))

    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert {answer.code for answer in answers if answer.status == 409} <= {"request_in_progress"}
    assert (await client.get("/v1/payments")).json["pagination"]["total"] == 1


async def test_a_key_used_for_another_payment_is_refused(client: Client) -> None:
    body, headers = {"amount": 1, "payment_date": "2026-11-01"}, {"Idempotency-Key": "once"}
    await client.post("/v1/payments", json=body, headers=headers)

    answer = await client.post("/v1/payments", json=body | {"amount": 2}, headers=headers)

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


async def test_payments_of_two_tenants_at_once_are_each_their_own_and_announced_once(
    client: Client, system: System
) -> None:
    other = await system.client()
    bodies = [
        {"amount": cents / 100, "payment_date": "2026-11-01", "external_payment_id": f"bank-{cents}"}
        for cents in range(1, 41)
    ]

    async def take(who: Client, body: dict[str, object]) -> Answer:
        return await who.post("/v1/payments", json=body, headers={"Idempotency-Key": str(body["external_payment_id"])})

    answers = await asyncio.gather(*(take(who, body) for body in bodies for who in (client, other)))
    again = await asyncio.gather(*(take(who, body) for body in bodies for who in (client, other)))

    assert {answer.status for answer in answers} == {201}
    assert [answer.body for answer in again] == [answer.body for answer in answers]
    for who, some in ((client, answers[::2]), (other, answers[1::2])):
        ids = {answer.data["id"] for answer in some}
        assert [answer.data["external_payment_id"] for answer in some] == [b["external_payment_id"] for b in bodies]
        assert {one["id"] for one in await _all(who, "/v1/payments")} == ids
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(events := await _all(who, "/v1/events?type=payment.created")) < len(bodies):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert sorted(event["data"]["id"] for event in events) == sorted(ids)


async def _all(client: Client, path: str) -> list[Any]:
    found: list[Any] = (await client.get(f"{path}{'&' if '?' in path else '?'}limit=100")).data
    return found
