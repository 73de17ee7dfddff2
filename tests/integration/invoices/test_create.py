"""Making invoices through the API: every field, rule and refusal of docs/api.md, create."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.harness import Answer, Client
from tests.integration.invoices.scenes import a_customer, an_invoice, made, the_invoice

LINES = [{"description": "Work", "quantity": 2, "unit_price": 50}]


async def create(client: Client, **fields: Any) -> Answer:
    if "customer_id" not in fields:
        fields["customer_id"] = (await a_customer(client))["id"]
    return await client.post("/v1/invoices", json=fields)


async def test_every_field_comes_back_as_it_was_sent(client: Client) -> None:
    fields = {
        "invoice_number": "A-77",
        "customer_name": "Ada Limited",
        "customer_address": "1 Road\nTown",
        "issue_date": "2026-01-31",
        "due_date": "2999-01-01",
        "notes": "internal",
        "memo": "memo",
        "note_to_customer": "thanks",
        "terms": "net 30",
        "tags": ["late", "vip"],
        "category": "consulting",
        "project": "apollo",
        "exclude_from_autopay": True,
        "tax_rate": Decimal("0.09975"),
        "tax_type": "inline",
        "discount_type": "percentage",
        "discount_value": 10,
        "adjustment_description": "rounding",
        "currency": "USD",
    }

    answer = await create(client, line_items=LINES, adjustment_amount=-0.5, **fields)

    invoice = made(answer)
    assert {name: invoice[name] for name in fields} == fields
    assert invoice["adjustment_amount"] == -0.5
    assert invoice["amount"] == 89.5
    assert invoice["source_type"] == "api"
    assert answer.headers["ETag"] == '"1"'
    assert await the_invoice(client, invoice["id"]) == invoice


async def test_a_line_keeps_all_it_was_given(client: Client) -> None:
    line = {
        "description": "Work",
        "quantity": 1.5,
        "unit_price": Decimal("10.123456"),
        "unit": "h",
        "long_description": "A lot of it",
        "taxable": False,
        "discount_type": "fixed",
        "discount_value": Decimal("1.19"),
    }

    (stored,) = made(await create(client, line_items=[line]))["line_items"]

    assert {name: stored[name] for name in line} == line
    assert (stored["line_amount"], stored["discount_amount"], stored["net_amount"]) == (
        Decimal("15.19"),
        Decimal("1.19"),
        14,
    )


async def test_the_defaults_are_today_the_customers_terms_and_the_tenants_currency(client: Client) -> None:
    customer = await a_customer(client, payment_terms_days=10)

    invoice = made(await create(client, customer_id=customer["id"], amount=5, issue_date="2026-12-25"))

    assert invoice["due_date"] == "2027-01-04"
    assert invoice["currency"] == "USD"
    assert invoice["customer_name"] == "Ada Ltd"
    assert invoice["customer"]["email"] == "ada@example.com"
    assert invoice["line_items"] == []


async def test_an_amount_due_below_the_amount_was_paid_outside(client: Client) -> None:
    invoice = made(await create(client, amount=100, amount_due=40, due_date="2999-01-01"))

    assert invoice["external_payment_amount"] == 60
    assert invoice["amount_paid"] == 60
    assert invoice["status"] == "partial"
    assert invoice["is_partially_paid"]


async def test_the_calculated_status_wins_over_the_callers(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    for fields, status in (
        ({"amount_due": 0, "status": "pending"}, "paid"),
        ({"due_date": "2020-01-01", "status": "paid"}, "overdue"),
        ({"status": "overdue"}, "pending"),
        ({"status": "in_dispute"}, "in_dispute"),
        ({"status": "in_payment_plan"}, "in_payment_plan"),
        ({"status": "in_dispute", "amount_due": 0}, "paid"),
        ({"status": "draft", "due_date": "2020-01-01"}, "draft"),
        ({"status": "cancelled"}, "cancelled"),
    ):
        body = {"amount": 100, "due_date": "2999-01-01"} | fields
        assert made(await create(client, customer_id=customer, **body))["status"] == status, fields


async def test_the_sum_of_the_lines_is_stored_where_the_amount_is_a_cent_off(client: Client) -> None:
    assert made(await create(client, amount=100.01, line_items=LINES))["amount"] == 100


async def test_numbers_run_by_the_year_of_the_issue_date(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    numbers = [
        (await an_invoice(client, customer_id=customer, issue_date=day))["invoice_number"]
        for day in ("2025-06-01", "2026-01-01", "2025-12-31")
    ]

    assert numbers == ["INV-2025-0001", "INV-2026-0001", "INV-2025-0002"]


async def test_fifty_creates_at_once_take_fifty_numbers_without_a_gap(client: Client) -> None:
    customer = (await a_customer(client))["id"]

    made_at_once = await asyncio.gather(
        *(an_invoice(client, customer_id=customer, issue_date="2026-02-02") for _ in range(50))
    )

    assert sorted(one["invoice_number"] for one in made_at_once) == [f"INV-2026-{n:04d}" for n in range(1, 51)]


async def test_a_number_that_a_caller_took_is_passed_over(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    await an_invoice(client, customer_id=customer, invoice_number="INV-2026-0001")

    next_one = await an_invoice(client, customer_id=customer, issue_date="2026-02-02")

    assert next_one["invoice_number"] == "INV-2026-0002"


async def test_a_number_counts_once_in_a_tenant_even_when_asked_for_at_once(client: Client) -> None:
    customer = (await a_customer(client))["id"]

    answers = await asyncio.gather(
        *(create(client, customer_id=customer, amount=1, invoice_number="X-1") for _ in range(5))
    )

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status == 409)
    assert refused.code == "invoice_number_taken"
    assert refused.fields == {"invoice_number"}


async def test_a_draft_waits_for_its_number_where_numbers_come_with_issuing(client: Client) -> None:
    await client.patch("/v1/settings/invoicing", json={"number_on": "issue", "invoice_prefix": "RE"})
    draft = await an_invoice(client, status="draft", issue_date="2026-03-03")
    assert draft["invoice_number"] is None

    published = (await client.post(f"/v1/invoices/{draft['id']}/publish")).data

    assert published["invoice_number"] == "RE-2026-0001"


async def test_the_same_key_makes_one_invoice(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    body = {"customer_id": customer, "amount": 10}

    first = await client.post("/v1/invoices", json=body, headers={"Idempotency-Key": "once"})
    again = await client.post("/v1/invoices", json=body, headers={"Idempotency-Key": "once"})
    other = await client.post("/v1/invoices", json=body | {"amount": 11}, headers={"Idempotency-Key": "once"})

    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert (await client.get("/v1/invoices")).json["pagination"]["total"] == 1


async def test_one_key_sent_at_once_makes_one_invoice(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    body = {"customer_id": customer, "amount": 10}

    answers = await asyncio.gather(
        *(client.post("/v1/invoices", json=body, headers={"Idempotency-Key": "k"}) for _ in range(10))
    )

    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert {answer.code for answer in answers if answer.status == 409} <= {"request_in_progress"}
    assert (await client.get("/v1/invoices")).json["pagination"]["total"] == 1


async def test_a_refused_request_may_be_mended_and_sent_again_under_its_key(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    body = {"customer_id": customer, "amount": 10, "invoice_number": "K-1"}
    await an_invoice(client, customer_id=customer, invoice_number="K-1")

    refused = await client.post("/v1/invoices", json=body, headers={"Idempotency-Key": "k"})
    mended = await client.post("/v1/invoices", json=body | {"invoice_number": "K-2"}, headers={"Idempotency-Key": "k"})

    assert refused.code == "invoice_number_taken"
    assert made(mended)["invoice_number"] == "K-2"


async def test_products_and_tax_rates_fill_in_what_a_line_leaves_out(client: Client) -> None:
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.2}))
    account = made(await client.post("/v1/ledger/accounts", json={"code": "4010", "name": "Work", "type": "income"}))
    product = made(
        await client.post("/v1/products", json={"name": "Hour", "unit_price": 80, "account_id": account["id"]})
    )

    line = {"description": "Work", "product_id": product["id"]}
    invoice = made(await create(client, line_items=[line], tax_rate_ids=[rate["id"]]))

    assert invoice["line_items"][0]["account_id"] == account["id"]
    assert invoice["amount"] == 96
    tax = {"tax_rate_id": rate["id"], "name": "VAT", "rate": Decimal("0.2"), "taxable_amount": 80, "amount": 16}
    assert invoice["taxes"] == [tax]


NOBODY = "018f0000-0000-7000-8000-000000000000"  # the same in each test process
HALF: dict[str, Any] = {"line_items": LINES, "discount_type": "percentage", "discount_value": 50}
MOST = {"description": "Most", "line_amount": 9999999999.99}
HUGE = LINES[0] | {"quantity": 9999999999, "unit_price": 9999999999}


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"amount": 1, "customer_id": NOBODY}, 404, "customer_not_found", "customer_id"),
        ({}, 422, "amount_or_line_items_required", "amount"),
        ({"line_items": []}, 422, "amount_or_line_items_required", "amount"),
        ({"amount": 0}, 422, "validation_failed", "amount"),
        ({"amount": -5}, 422, "validation_failed", "amount"),
        ({"amount": 1.234}, 422, "validation_failed", "amount"),
        ({"amount": "12"}, 422, "validation_failed", "amount"),
        ({"amount": 99999999999}, 422, "validation_failed", "amount"),
        ({"amount": 1, "colour": "red"}, 422, "validation_failed", "colour"),
        ({"amount": 1, "due_date": "2026-02-30"}, 422, "validation_failed", "due_date"),
        ({"amount": 1, "status": "sent"}, 422, "validation_failed", "status"),
        ({"amount": 1, "invoice_number": ""}, 422, "validation_failed", "invoice_number"),
        ({"amount": 1, "tax_rate": 1.5}, 422, "validation_failed", "tax_rate"),
        ({"amount": 90, "line_items": LINES}, 422, "amount_mismatch", "amount"),
        ({"amount": 10, "amount_due": 11}, 422, "amount_due_exceeds_amount", "amount_due"),
        ({"amount": 10, "currency": "EUR"}, 422, "currency_not_enabled", "currency"),
        ({"amount": 10, "tax_amount": 11}, 422, "parts_exceed_amount", "tax_amount"),
        ({"amount": 10, "tax_rate_ids": [NOBODY]}, 404, "tax_rate_not_found", "tax_rate_ids[0]"),
        ({"line_items": LINES, "adjustment_amount": -100}, 422, "total_not_positive", None),
        (HALF | {"discount_value": 101}, 422, "discount_value_invalid", "discount_value"),
        (HALF | {"discount_type": "fixed", "discount_value": 1.001}, 422, "discount_value_invalid", "discount_value"),
        ({"line_items": LINES, "discount_amount": 101}, 422, "discount_amount_mismatch", "discount_amount"),
        ({"line_items": [{"description": "x"}]}, 422, "line_item_unpriced", "line_items[0].unit_price"),
        ({"line_items": [{"unit_price": 1}]}, 422, "validation_failed", "line_items[0].description"),
        ({"line_items": [*LINES, LINES[0] | {"quantity": 0}]}, 422, "validation_failed", "line_items[1].quantity"),
        ({"line_items": [LINES[0] | {"product_id": NOBODY}]}, 404, "product_not_found", "line_items[0].product_id"),
        ({"line_items": [LINES[0] | {"account_id": NOBODY}]}, 404, "account_not_found", "line_items[0].account_id"),
        ({"line_items": [LINES[0] | {"tax_rate_id": NOBODY}]}, 404, "tax_rate_not_found", "line_items[0].tax_rate_id"),
        ({"line_items": [HUGE]}, 422, "line_amount_too_large", "line_items[0]"),
        ({"line_items": [MOST, MOST]}, 422, "total_too_large", None),
    ],
)
async def test_what_breaks_a_rule_is_refused_by_its_code_and_field(
    client: Client, fields: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    answer = await create(client, **fields)

    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.fields == ({field} if field else set())


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    answer = await create(client, amount=-1, due_date="soon", line_items=[{"quantity": -1}])

    assert answer.fields == {"amount", "due_date", "line_items[0].description", "line_items[0].quantity"}


async def test_a_tax_amount_must_agree_with_the_tax_rates(client: Client) -> None:
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.2}))

    answer = await create(client, line_items=LINES, tax_rate_ids=[rate["id"]], tax_amount=19)
    without_lines = await create(client, amount=10, tax_rate_ids=[rate["id"]])

    assert (answer.status, answer.code, answer.fields) == (422, "tax_amount_mismatch", {"tax_amount"})
    assert (without_lines.status, without_lines.code) == (422, "tax_rates_need_line_items")


async def test_a_line_is_not_booked_on_an_account_that_is_not_income(client: Client) -> None:
    account = made(await client.post("/v1/ledger/accounts", json={"code": "1500", "name": "Till", "type": "asset"}))

    answer = await create(client, line_items=[LINES[0] | {"account_id": account["id"]}])

    assert (answer.status, answer.code, answer.fields) == (422, "account_not_income", {"line_items[0].account_id"})


async def test_another_tenants_customer_is_unknown(client: Client, other: Client) -> None:
    stranger = await a_customer(other)

    answer = await create(client, customer_id=stranger["id"], amount=1)

    assert (answer.status, answer.code) == (404, "customer_not_found")


async def test_rows_of_a_bulk_call_are_made_or_refused_each_on_its_own(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    good = {"customer_id": customer, "amount": 10}
    rows = [
        good,
        {"customer_id": customer},
        "nonsense",
        good | {"invoice_number": "B-1"},
        good | {"invoice_number": "B-1"},
    ]

    answer = await client.post("/v1/invoices/bulk", json=rows)

    assert answer.status == 200
    assert answer.json["summary"] == {"created": 2, "refused": 3}
    assert [row["status"] for row in answer.data] == ["created", "refused", "refused", "created", "refused"]
    assert [row.get("problem", {}).get("code") for row in answer.data] == [
        None,
        "amount_or_line_items_required",
        "validation_failed",
        None,
        "invoice_number_taken",
    ]
    assert (await client.get("/v1/invoices")).json["pagination"]["total"] == 2


async def test_a_bulk_call_takes_one_object_a_line(client: Client) -> None:
    customer = (await a_customer(client))["id"]
    row = f'{{"customer_id": "{customer}", "amount": 10}}'
    body = f'{row}\n{{"customer_id": \n\n{row}'

    answer = await client.post(
        "/v1/invoices/bulk", data=body.encode(), headers={"Content-Type": "application/x-ndjson"}
    )

    assert answer.json["summary"] == {"created": 2, "refused": 1}
    assert answer.data[1]["problem"]["code"] == "malformed_json"


async def test_a_thousand_rows_at_once_are_numbered_without_a_gap(client: Client) -> None:
    customer = (await a_customer(client))["id"]

    answer = await client.post(
        "/v1/invoices/bulk", json=[{"customer_id": customer, "amount": 1, "issue_date": "2026-05-05"}] * 1000
    )

    assert [row["invoice_number"] for row in answer.data] == [f"INV-2026-{n:04d}" for n in range(1, 1001)]


async def test_a_bulk_call_over_the_limit_is_refused(client: Client) -> None:
    answer = await client.post("/v1/invoices/bulk", json=[{}] * 10_001)

    assert (answer.status, answer.code) == (422, "too_many_items")
