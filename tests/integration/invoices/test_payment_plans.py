"""Payment plans through the API: instalments, how a plan ends, and every refusal."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.invoices.plans.jobs import review_plans
from shared.jobs import SomeFailed
from tests.harness import Client, System, wait_for
from tests.integration.invoices.broken_rows import broken
from tests.integration.invoices.scenes import (
    Json,
    a_credit_note,
    a_customer,
    a_payment,
    an_invoice,
    found,
    made,
    money,
    refused,
    the_invoice,
)

UNKNOWN = "018f0000-0000-7000-8000-000000000000"  # the same in each test process
REGULAR: Json = {"count": 3, "frequency": "monthly", "start_date": "2999-01-31"}


async def a_plan(client: Client, *invoices: Json, **fields: Any) -> Json:
    body = {"invoice_ids": [invoice["id"] for invoice in invoices]}
    return made(await client.post("/v1/payment-plans", json=body | (fields or REGULAR)))


async def the_plan(client: Client, plan_id: str) -> Json:
    return found(await client.get(f"/v1/payment-plans/{plan_id}"))


async def has_status(client: Client, plan_id: str, status: str) -> bool:
    return bool((await the_plan(client, plan_id))["status"] == status)


async def test_instalments_are_spread_over_months_to_the_cent(client: Client) -> None:
    invoice = await an_invoice(client)

    plan = await a_plan(client, invoice)

    assert [(part["due_date"], money(part["amount"])) for part in plan["instalments"]] == [
        ("2999-01-31", Decimal("33.34")),
        ("2999-02-28", Decimal("33.33")),
        ("2999-03-31", Decimal("33.33")),
    ]
    assert (plan["status"], plan["frequency"], money(plan["amount"])) == ("active", "monthly", Decimal(100))
    assert (await the_invoice(client, invoice["id"]))["status"] == "in_payment_plan"


async def test_a_plan_takes_what_is_due_on_several_invoices(client: Client) -> None:
    customer = await a_customer(client)
    whole = await an_invoice(client, customer_id=customer["id"])
    partly = await an_invoice(client, customer_id=customer["id"], amount=50)
    await a_payment(client, partly["id"], 20)

    plan = await a_plan(client, whole, partly, instalments=[{"due_date": "2999-01-01", "amount": 130}])

    assert {(each["invoice_id"], money(each["amount"])) for each in plan["invoices"]} == {
        (whole["id"], Decimal(100)),
        (partly["id"], Decimal(30)),
    }
    assert plan["customer_id"] == customer["id"]


async def test_payments_fill_the_instalments_and_complete_the_plan(client: Client) -> None:
    invoice = await an_invoice(client)
    plan = await a_plan(client, invoice)

    await a_payment(client, invoice["id"], 50)

    half = await the_plan(client, plan["id"])
    assert [money(part["paid_amount"]) for part in half["instalments"]] == [
        Decimal("33.34"),
        Decimal("16.66"),
        Decimal(0),
    ]
    assert (money(half["paid_amount"]), money(half["remaining_amount"])) == (Decimal(50), Decimal(50))
    await a_payment(client, invoice["id"], 50)
    await wait_for(lambda: has_status(client, plan["id"], "completed"))
    assert (await the_invoice(client, invoice["id"]))["status"] == "paid"


async def test_credit_counts_towards_the_plan(client: Client) -> None:
    invoice = await an_invoice(client)
    plan = await a_plan(client, invoice)

    await a_credit_note(client, invoice["id"])

    await wait_for(lambda: has_status(client, plan["id"], "completed"))


async def test_a_missed_instalment_defaults_the_plan(client: Client, system: System) -> None:
    invoice = await an_invoice(client)
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    parts = [{"due_date": yesterday, "amount": 40}, {"due_date": "2999-01-01", "amount": 60}]
    plan = await a_plan(client, invoice, instalments=parts)

    await review_plans(system.process.runtimes["invoices"])

    defaulted = await the_plan(client, plan["id"])
    assert defaulted["status"] == "defaulted"
    assert defaulted["ended_at"]
    assert (await the_invoice(client, invoice["id"]))["status"] == "pending"


async def test_a_plan_that_cannot_be_ended_holds_up_no_later_one(client: Client, system: System) -> None:
    parts = [{"due_date": "2026-01-01", "amount": 100}]
    invoices = [await an_invoice(client) for _ in range(3)]
    plans = [
        (await client.post("/v1/payment-plans", json={"invoice_ids": [invoice["id"]], "instalments": parts})).data["id"]
        for invoice in invoices
    ]

    async with broken(system, "invoices.plans", plans[0]):
        with pytest.raises(SomeFailed):
            await review_plans(system.process.runtimes["invoices"])
        during = [(await client.get(f"/v1/payment-plans/{plan}")).data["status"] for plan in plans]
    await review_plans(system.process.runtimes["invoices"])

    assert during == ["active", "defaulted", "defaulted"]
    assert (await client.get(f"/v1/payment-plans/{plans[0]}")).data["status"] == "defaulted"


async def test_a_covered_instalment_keeps_the_plan(client: Client, system: System) -> None:
    invoice = await an_invoice(client)
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    await a_payment(client, invoice["id"], 1)
    parts = [{"due_date": yesterday, "amount": 40}, {"due_date": "2999-01-01", "amount": 59}]
    plan = await a_plan(client, invoice, instalments=parts)
    await a_payment(client, invoice["id"], 40)

    await review_plans(system.process.runtimes["invoices"])

    assert (await the_plan(client, plan["id"]))["status"] == "active"


async def test_a_cancelled_plan_frees_its_invoices(client: Client) -> None:
    invoice = await an_invoice(client)
    plan = await a_plan(client, invoice)

    cancelled = found(await client.post(f"/v1/payment-plans/{plan['id']}/cancel"))

    assert cancelled["status"] == "cancelled"
    assert (await the_invoice(client, invoice["id"]))["status"] == "pending"
    assert (await a_plan(client, invoice))["status"] == "active"
    again = await client.post(f"/v1/payment-plans/{plan['id']}/cancel")
    assert refused(again) == (409, "payment_plan_not_active", None)


async def test_of_plans_at_once_one_is_made(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_ids": [invoice["id"]]} | REGULAR

    answers = await asyncio.gather(*(client.post("/v1/payment-plans", json=body) for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"invoice_ids": []}, (422, "validation_failed", "invoice_ids")),
        ({"invoice_ids": [UNKNOWN]}, (404, "invoice_not_found", "invoice_ids[0]")),
        ({"count": 0}, (422, "validation_failed", "count")),
        ({"count": 121}, (422, "validation_failed", "count")),
        ({"frequency": "daily"}, (422, "validation_failed", "frequency")),
        ({"start_date": "2026-02-30"}, (422, "validation_failed", "start_date")),
        ({"start_date": "9999-12-31"}, (422, "schedule_too_late", "start_date")),
        ({"count": None}, (422, "schedule_missing", "count")),
        ({"start_date": None}, (422, "schedule_missing", "start_date")),
        ({"count": None, "frequency": None, "start_date": None}, (422, "schedule_missing", "instalments")),
        (
            {"instalments": [{"due_date": "2999-01-01", "amount": 100}]},
            (422, "schedule_ambiguous", "instalments"),
        ),
    ],
)
async def test_a_plan_is_refused(client: Client, fields: Json, refusal: tuple[int, str, str]) -> None:
    invoice = await an_invoice(client)

    answer = await client.post("/v1/payment-plans", json={"invoice_ids": [invoice["id"]]} | REGULAR | fields)

    assert refused(answer) == refusal


@pytest.mark.parametrize("amount", [99.99, 100.01])
async def test_instalments_must_sum_to_what_is_due(client: Client, amount: float) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_ids": [invoice["id"]], "instalments": [{"due_date": "2999-01-01", "amount": amount}]}

    answer = await client.post("/v1/payment-plans", json=body)

    assert refused(answer) == (422, "instalments_do_not_sum", "instalments")


async def test_a_cent_cannot_be_split(client: Client) -> None:
    invoice = await an_invoice(client, amount=0.02)

    answer = await client.post("/v1/payment-plans", json={"invoice_ids": [invoice["id"]]} | REGULAR)

    assert refused(answer) == (422, "too_many_instalments", "count")


async def test_only_open_invoices_of_one_customer_make_a_plan(client: Client) -> None:
    customer = await a_customer(client)
    mine = await an_invoice(client, customer_id=customer["id"])
    planned = await an_invoice(client, customer_id=customer["id"])
    await a_plan(client, planned)
    draft = await an_invoice(client, customer_id=customer["id"], status="draft")
    paid = await an_invoice(client, customer_id=customer["id"])
    await a_payment(client, paid["id"], 100)
    foreign = await an_invoice(client)

    async def planning(*invoices: Json) -> tuple[int, str, str | None]:
        body = {"invoice_ids": [invoice["id"] for invoice in invoices]} | REGULAR
        return refused(await client.post("/v1/payment-plans", json=body))

    second = "invoice_ids[1]"
    assert await planning(mine, mine) == (422, "invoice_planned_twice", second)
    assert await planning(mine, planned) == (409, "invoice_in_payment_plan", second)
    assert await planning(mine, draft) == (409, "nothing_to_plan", second)
    assert await planning(mine, paid) == (409, "nothing_to_plan", second)
    assert await planning(mine, foreign) == (422, "several_customers", second)
    assert (await the_invoice(client, mine["id"]))["status"] == "pending"


async def test_an_unknown_plan_is_not_found(client: Client) -> None:
    assert refused(await client.get(f"/v1/payment-plans/{UNKNOWN}")) == (404, "payment_plan_not_found", None)
    answer = await client.post(f"/v1/payment-plans/{UNKNOWN}/cancel")
    assert refused(answer) == (404, "payment_plan_not_found", None)


async def test_plans_are_found_by_status_customer_and_invoice(client: Client) -> None:
    first, second = await an_invoice(client), await an_invoice(client)
    cancelled, active = await a_plan(client, first), await a_plan(client, second)
    await client.post(f"/v1/payment-plans/{cancelled['id']}/cancel")

    async def listed(query: str) -> list[str]:
        answer = await client.get(f"/v1/payment-plans?{query}")
        return [plan["id"] for plan in answer.data]

    assert await listed("status=active") == [active["id"]]
    assert await listed("status=cancelled") == [cancelled["id"]]
    assert await listed(f"customer_id={first['customer_id']}") == [cancelled["id"]]
    assert await listed(f"invoice_id={second['id']}") == [active["id"]]
