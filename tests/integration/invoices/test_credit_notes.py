"""Credit notes through the API: numbers, ledger, unapplied credit, and every refusal."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import (
    a_credit_note,
    a_customer,
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


async def test_four_notes_line_by_line_equal_the_invoice_to_the_cent(client: Client) -> None:
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.2}))
    invoice = await an_invoice(
        client,
        tax_type="summary",
        tax_rate_ids=[rate["id"]],
        line_items=[{"description": f"Line {cents}", "line_amount": cents} for cents in (68.33, 68.33, 57.50, 85)],
    )
    assert money(invoice["amount"]) == Decimal("334.99")

    notes = [
        await a_credit_note(client, invoice["id"], line_items=[{"line_item_id": line["id"], "quantity": 1}])
        for line in invoice["line_items"]
    ]

    assert [money(note["amount"]) for note in notes] == [Decimal(n) for n in ("82.00", "81.99", "69.00", "102.00")]
    assert sum(money(note["amount"]) for note in notes) == Decimal("334.99")
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], after["amount_due"]) == ("paid", 0)
    assert money(after["credited_amount"]) == Decimal("334.99")
    assert await balance(client, "2100") == 0
    assert await balance(client, "4200") == -(await balance(client, "4000"))


async def test_notes_are_numbered_without_gaps(client: Client) -> None:
    invoice = await an_invoice(client)

    notes = [await a_credit_note(client, invoice["id"], amount=1) for _ in range(3)]

    year = datetime.now(UTC).year
    assert [note["credit_note_number"] for note in notes] == [f"CN-{year}-000{n}" for n in (1, 2, 3)]


async def test_a_refused_note_takes_no_number(client: Client) -> None:
    invoice = await an_invoice(client)
    await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "Too much", "amount": 101})

    note = await a_credit_note(client, invoice["id"])

    assert note["credit_note_number"].endswith("-0001")
    assert money(note["amount"]) == 100


async def test_a_note_lowers_what_is_due_and_posts_revenue_and_tax_back(client: Client) -> None:
    invoice = await an_invoice(client, amount=120, tax_amount=20)

    note = await a_credit_note(client, invoice["id"], amount=30)

    assert (money(note["subtotal"]), money(note["tax_amount"])) == (Decimal(25), Decimal(5))
    assert (money(note["applied_amount"]), money(note["unapplied_amount"])) == (Decimal(30), Decimal(0))
    assert {(p["account_code"], p["debit"], p["credit"]) for p in note["postings"]} == {
        ("4200", 25, 0),
        ("2100", 5, 0),
        ("1100", 0, 30),
    }
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], money(after["amount_due"])) == ("partial", Decimal(90))


async def test_a_note_on_a_paid_invoice_becomes_unapplied_credit_that_pays_another(client: Client) -> None:
    customer = await a_customer(client)
    paid = await an_invoice(client, customer_id=customer["id"])
    await a_payment(client, paid["id"], 80)
    other = await an_invoice(client, customer_id=customer["id"], amount=50)

    note = await a_credit_note(client, paid["id"])
    assert (money(note["applied_amount"]), money(note["unapplied_amount"])) == (Decimal(20), Decimal(80))

    answer = await client.post(
        f"/v1/credit-notes/{note['id']}/apply", json={"allocations": [{"invoice_id": other["id"], "amount": 50}]}
    )

    applied = found(answer)
    assert money(applied["unapplied_amount"]) == Decimal(30)
    assert [(a["invoice_id"], money(a["amount"])) for a in applied["applications"]] == [
        (paid["id"], Decimal(20)),
        (other["id"], Decimal(50)),
    ]
    after = await the_invoice(client, other["id"])
    assert (after["status"], money(after["credited_amount"])) == ("paid", Decimal(50))
    assert await balance(client, "1100") == 0


async def test_notes_at_once_never_credit_more_than_the_invoice(client: Client) -> None:
    invoice = await an_invoice(client)
    path = f"/v1/invoices/{invoice['id']}/credit-notes"

    answers = await asyncio.gather(
        *(client.post(path, json={"reason": "Race", "amount": 30}) for _ in range(8)),
    )

    assert sorted(answer.status for answer in answers) == [201, 201, 201, 422, 422, 422, 422, 422]
    assert money((await the_invoice(client, invoice["id"]))["amount_due"]) == Decimal(10)


async def test_applying_at_once_never_spends_a_note_twice(client: Client) -> None:
    customer = await a_customer(client)
    paid = await an_invoice(client, customer_id=customer["id"])
    await a_payment(client, paid["id"], 100)
    note = await a_credit_note(client, paid["id"])
    others = [await an_invoice(client, customer_id=customer["id"], amount=60) for _ in range(3)]

    answers = await asyncio.gather(
        *(
            client.post(
                f"/v1/credit-notes/{note['id']}/apply",
                json={"allocations": [{"invoice_id": other["id"], "amount": 60}]},
            )
            for other in others
        )
    )

    assert sorted(answer.status for answer in answers) == [200, 422, 422]
    after = found(await client.get(f"/v1/credit-notes/{note['id']}"))
    assert money(after["unapplied_amount"]) == Decimal(40)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"amount": 10}, (422, "validation_failed", "reason")),
        ({"reason": " "}, (422, "validation_failed", "reason")),
        ({"reason": "x", "amount": 0}, (422, "validation_failed", "amount")),
        ({"reason": "x", "amount": 1.234}, (422, "validation_failed", "amount")),
        ({"reason": "x", "ammount": 1}, (422, "validation_failed", "ammount")),
        ({"reason": "x", "amount": 100.01}, (422, "credit_exceeds_invoice", "amount")),
        (
            {"reason": "x", "line_items": [{"line_item_id": UNKNOWN, "quantity": 1}]},
            (404, "credited_line_not_found", "line_items[0].line_item_id"),
        ),
        (
            {"reason": "x", "amount": 1, "line_items": [{"line_item_id": UNKNOWN, "quantity": 1}]},
            (422, "amount_and_line_items", "line_items"),
        ),
    ],
)
async def test_a_note_is_refused(client: Client, body: dict[str, Any], refusal: tuple[int, str, str]) -> None:
    invoice = await an_invoice(client, line_items=[{"description": "Work", "quantity": 2, "unit_price": 50}])

    answer = await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json=body)

    assert refused(answer) == refusal


@pytest.mark.parametrize(
    ("share", "refusal"),
    [
        ({}, (422, "line_share_missing", "line_items[0]")),
        ({"quantity": 1, "amount": 50}, (422, "line_share_missing", "line_items[0]")),
        ({"quantity": 3}, (422, "credit_exceeds_line", "line_items[0].quantity")),
        ({"amount": 100.01}, (422, "credit_exceeds_line", "line_items[0].amount")),
    ],
)
async def test_a_share_of_a_line_is_refused(
    client: Client, share: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    invoice = await an_invoice(client, line_items=[{"description": "Work", "quantity": 2, "unit_price": 50}])
    shares = [{"line_item_id": invoice["line_items"][0]["id"]} | share]

    answer = await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "x", "line_items": shares})

    assert refused(answer) == refusal


async def test_a_line_named_twice_is_refused(client: Client) -> None:
    invoice = await an_invoice(client, line_items=[{"description": "Work", "quantity": 2, "unit_price": 50}])
    shares = [{"line_item_id": invoice["line_items"][0]["id"], "quantity": 1}] * 2

    answer = await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "x", "line_items": shares})

    assert refused(answer) == (422, "line_item_credited_twice", "line_items[1].line_item_id")


async def test_a_note_of_nothing_but_a_rebate_is_refused(client: Client) -> None:
    lines = [{"description": "Work", "line_amount": 100}, {"description": "Rebate", "line_amount": -10}]
    invoice = await an_invoice(client, line_items=lines)
    rebate = next(line for line in invoice["line_items"] if line["description"] == "Rebate")

    answer = await client.post(
        f"/v1/invoices/{invoice['id']}/credit-notes",
        json={"reason": "x", "line_items": [{"line_item_id": rebate["id"], "quantity": 1}]},
    )

    assert refused(answer) == (422, "credit_not_positive", "line_items")


async def test_a_fully_credited_invoice_cannot_be_credited_again(client: Client) -> None:
    invoice = await an_invoice(client)
    await a_credit_note(client, invoice["id"])

    answer = await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "Again"})

    assert refused(answer) == (409, "invoice_fully_credited", None)


async def test_a_draft_cannot_be_credited(client: Client) -> None:
    draft = await an_invoice(client, status="draft")

    answer = await client.post(f"/v1/invoices/{draft['id']}/credit-notes", json={"reason": "x"})

    assert refused(answer) == (409, "invoice_not_creditable", None)


async def test_an_unknown_invoice_cannot_be_credited(client: Client) -> None:
    answer = await client.post(f"/v1/invoices/{UNKNOWN}/credit-notes", json={"reason": "x"})

    assert refused(answer) == (404, "invoice_not_found", None)


async def test_applying_is_refused_where_it_does_not_fit(client: Client) -> None:
    customer = await a_customer(client)
    paid = await an_invoice(client, customer_id=customer["id"])
    await a_payment(client, paid["id"], 100)
    note = await a_credit_note(client, paid["id"])
    small = await an_invoice(client, customer_id=customer["id"], amount=10)
    large = await an_invoice(client, customer_id=customer["id"], amount=500)
    draft = await an_invoice(client, customer_id=customer["id"], status="draft")
    foreign = await an_invoice(client)

    async def applying(*allocations: tuple[str, float]) -> tuple[int, str, str | None]:
        body = {"allocations": [{"invoice_id": invoice, "amount": amount} for invoice, amount in allocations]}
        return refused(await client.post(f"/v1/credit-notes/{note['id']}/apply", json=body))

    where, how_much = "allocations[0].invoice_id", "allocations[0].amount"
    assert await applying() == (422, "validation_failed", "allocations")
    assert await applying((UNKNOWN, 1)) == (404, "invoice_not_found", where)
    assert await applying((foreign["id"], 1)) == (422, "credit_of_other_customer", where)
    assert await applying((draft["id"], 1)) == (409, "credit_needs_open_invoice", where)
    assert await applying((small["id"], 10.01)) == (422, "credit_exceeds_due", how_much)
    assert await applying((large["id"], 100.01)) == (422, "credit_exceeds_unapplied", "allocations")
    assert await applying((small["id"], 1), (small["id"], 1)) == (
        422,
        "invoice_allocated_twice",
        "allocations[1].invoice_id",
    )
    unchanged = found(await client.get(f"/v1/credit-notes/{note['id']}"))
    assert money(unchanged["unapplied_amount"]) == Decimal(100)


async def test_an_unknown_note_is_not_found(client: Client) -> None:
    assert refused(await client.get(f"/v1/credit-notes/{UNKNOWN}")) == (404, "credit_note_not_found", None)
    answer = await client.post(
        f"/v1/credit-notes/{UNKNOWN}/apply", json={"allocations": [{"invoice_id": UNKNOWN, "amount": 1}]}
    )
    assert refused(answer) == (404, "credit_note_not_found", None)


async def test_notes_are_found_by_invoice_customer_and_rest(client: Client) -> None:
    paid = await an_invoice(client)
    await a_payment(client, paid["id"], 100)
    unapplied = await a_credit_note(client, paid["id"])
    open_ = await an_invoice(client)
    applied = await a_credit_note(client, open_["id"])

    async def listed(query: str) -> list[str]:
        answer = await client.get(f"/v1/credit-notes?{query}")
        return [note["id"] for note in answer.data]

    assert await listed(f"invoice_id={paid['id']}") == [unapplied["id"]]
    assert await listed(f"customer_id={open_['customer_id']}") == [applied["id"]]
    assert await listed("unapplied=true") == [unapplied["id"]]
    assert await listed("unapplied=false") == [applied["id"]]
    assert await listed("sort=credit_note_number&order=asc") == [unapplied["id"], applied["id"]]


async def test_a_deleted_customers_notes_go_but_money_that_is_left_stays_a_liability(
    client: Client, system: System
) -> None:
    customer = await a_customer(client)
    credited = await an_invoice(client, customer_id=customer["id"])
    spent = await a_credit_note(client, credited["id"])
    paid = await an_invoice(client, customer_id=customer["id"])
    await a_payment(client, paid["id"], 100)
    unspent = await a_credit_note(client, paid["id"], amount=40, reason="Mrs Miller complained")

    assert (await client.delete(f"/v1/customers/{customer['id']}")).status == 200

    async def is_gone() -> bool:
        return (await client.get(f"/v1/credit-notes/{spent['id']}")).status == 404

    await wait_for(is_gone)
    left = found(await client.get(f"/v1/credit-notes/{unspent['id']}"))
    assert (left["reason"], money(left["unapplied_amount"])) == ("Customer deleted", Decimal(40))
    assert await balance(client, "2200") == Decimal(-40)


async def test_forcing_a_credited_customer_out_twice_at_once_works(client: Client) -> None:
    customer = await a_customer(client)
    for _ in range(3):
        invoice = await an_invoice(client, customer_id=customer["id"])
        await a_credit_note(client, invoice["id"], amount=40)
    path = f"/v1/customers/{customer['id']}?force=true"

    answers = await asyncio.gather(*(client.delete(path) for _ in range(4)))

    assert {answer.status for answer in answers} <= {200, 404}, answers
    assert 200 in {answer.status for answer in answers}
    assert await balance(client, "1100") == 0


async def test_notes_on_lines_that_were_replaced_since_still_count(client: Client) -> None:
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.2}))
    lines = [{"description": "Old", "line_amount": 30}, {"description": "Kept", "line_amount": 70}]
    invoice = await an_invoice(client, line_items=lines, tax_rate_ids=[rate["id"]])
    old, _ = invoice["line_items"]
    first = await a_credit_note(client, invoice["id"], line_items=[{"line_item_id": old["id"], "quantity": 1}])
    edit = {"line_items": [{"id": old["id"], "_destroy": True}, {"description": "New", "line_amount": 50}]}
    edited = found(await client.patch(f"/v1/invoices/{invoice['id']}", json=edit))

    rest = await a_credit_note(client, invoice["id"])

    assert (money(first["amount"]), money(edited["amount"])) == (Decimal(36), Decimal(144))
    assert money(rest["amount"]) == Decimal(144 - 36)
    assert (await the_invoice(client, invoice["id"]))["status"] == "paid"
    assert await balance(client, "2100") == 0
