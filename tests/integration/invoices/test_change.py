"""The life of an invoice after it was made: changed, issued, ended, put away."""

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import a_customer, an_invoice, balance, found, made, the_invoice

LINES = [{"description": "Work", "quantity": 2, "unit_price": 50}, {"description": "Travel", "line_amount": 30}]
TABLE = ("1100", "1090", "2100", "4000", "4100", "4300", "6100")


async def change(client: Client, invoice: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return found(await client.patch(f"/v1/invoices/{invoice['id']}", json=fields))


async def do(client: Client, invoice: dict[str, Any], action: str, **fields: Any) -> dict[str, Any]:
    return found(await client.post(f"/v1/invoices/{invoice['id']}/{action}", json=fields))


async def test_lines_are_updated_added_and_removed_in_one_go(client: Client) -> None:
    invoice = await an_invoice(client, line_items=LINES)
    work, travel = invoice["line_items"]

    after = await change(
        client,
        invoice,
        line_items=[
            {"id": work["id"], "quantity": 3},
            {"id": travel["id"], "_destroy": True},
            {"description": "Hotel", "unit_price": 80},
        ],
    )

    assert [(line["description"], line["net_amount"]) for line in after["line_items"]] == [("Work", 150), ("Hotel", 80)]
    assert after["line_items"][0]["id"] == work["id"]
    assert after["amount"] == after["amount_due"] == 230
    assert after["version"] == 2
    assert await the_invoice(client, invoice["id"]) == after


async def test_an_issued_invoice_that_changes_is_posted_again(client: Client) -> None:
    invoice = await an_invoice(client, line_items=LINES)

    await change(client, invoice, discount_type="fixed", discount_value=10, adjustment_amount=5)

    assert [await balance(client, code) for code in TABLE] == [125, 0, 0, -130, 10, -5, 0]
    entries = (await client.get(f"/v1/ledger/entries?invoice_id={invoice['id']}")).data
    assert len(entries) == 3
    assert [entry["reverses_id"] is not None for entry in entries].count(True) == 1


async def test_changing_what_is_not_posted_posts_nothing(client: Client) -> None:
    invoice = await an_invoice(client)

    await change(client, invoice, memo="hello", tags=["a"], due_date="2999-01-01")

    assert len((await client.get(f"/v1/ledger/entries?invoice_id={invoice['id']}")).data) == 1


async def test_null_clears_and_what_is_absent_stays(client: Client) -> None:
    invoice = await an_invoice(client, memo="memo", terms="net 30", project="apollo")

    after = await change(client, invoice, memo=None, project=None)

    assert (after["memo"], after["project"], after["terms"]) == (None, None, "net 30")


async def test_a_change_that_changes_nothing_leaves_the_version(client: Client) -> None:
    invoice = await an_invoice(client, memo="memo")

    assert (await change(client, invoice, memo="memo"))["version"] == 1


async def test_marking_as_paid_books_what_is_due_as_paid_outside(client: Client) -> None:
    invoice = await an_invoice(client)

    after = await change(client, invoice, status="paid")

    assert (after["status"], after["amount_due"], after["external_payment_amount"]) == ("paid", 0, 100)
    assert await balance(client, "1090") == 100
    assert await balance(client, "1100") == 0


async def test_amount_due_and_external_payments_are_two_ways_to_say_the_same(client: Client) -> None:
    invoice = await an_invoice(client)

    by_due = await change(client, invoice, amount_due=25)
    by_external = await change(client, invoice, external_payment_amount=0)

    assert (by_due["status"], by_due["external_payment_amount"]) == ("partial", 75)
    assert (by_external["status"], by_external["amount_due"]) == ("pending", 100)
    assert await balance(client, "1090") == 0


async def test_an_amount_without_lines_can_change(client: Client) -> None:
    invoice = await an_invoice(client)

    after = await change(client, invoice, amount=120, tax_amount=20)

    assert after["totals"] == {
        "subtotal": 100,
        "discount": 0,
        "tax": 20,
        "adjustment": 0,
        "total": 120,
        "paid": 0,
        "due": 120,
    }


async def test_a_tax_rate_that_changes_later_does_not_touch_the_invoice(client: Client) -> None:
    rate = made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": Decimal("0.2")}))
    invoice = await an_invoice(client, line_items=LINES, tax_rate_ids=[rate["id"]])
    await client.patch(f"/v1/tax-rates/{rate['id']}", json={"rate": Decimal("0.3")})

    after = await change(client, invoice, line_items=[{"description": "More", "unit_price": 70}])

    assert after["tax_amount"] == 40


async def test_put_means_patch(client: Client) -> None:
    invoice = await an_invoice(client, memo="memo")

    after = found(await client.put(f"/v1/invoices/{invoice['id']}", json={"notes": "n"}))

    assert (after["memo"], after["notes"]) == ("memo", "n")


async def test_an_edit_of_what_has_changed_meanwhile_is_refused(client: Client) -> None:
    invoice = await an_invoice(client)
    await change(client, invoice, memo="first")

    late = await client.patch(f"/v1/invoices/{invoice['id']}", json={"memo": "second"}, headers={"If-Match": '"1"'})
    good = await client.patch(f"/v1/invoices/{invoice['id']}", json={"memo": "second"}, headers={"If-Match": '"2"'})

    assert (late.status, late.code) == (412, "precondition_failed")
    assert good.headers["ETag"] == '"3"'


async def test_replacing_all_lines_forgets_the_old_discount_and_tax(client: Client) -> None:
    invoice = await an_invoice(client, line_items=LINES, discount_type="percentage", discount_value=50)
    kept = invoice["line_items"][0]["id"]

    answer = await client.put(
        f"/v1/invoices/{invoice['id']}/line-items",
        json={"line_items": [{"id": kept, "unit_price": 10}, {"description": "New", "unit_price": 5}]},
    )

    after = found(answer)
    assert after["totals"]["total"] == 25
    assert [line["description"] for line in after["line_items"]] == ["Work", "New"]
    assert await balance(client, "1100") == 25


async def test_publishing_a_draft_posts_it_once(client: Client) -> None:
    draft = await an_invoice(client, status="draft", amount_due=40)
    assert (await client.get("/v1/ledger/entries")).data == []

    published = await do(client, draft, "publish")

    assert published["status"] == "partial"
    assert published["published_at"] is not None
    assert [await balance(client, code) for code in ("1100", "1090", "4000")] == [40, 60, -100]
    again = await client.post(f"/v1/invoices/{draft['id']}/publish")
    assert (again.status, again.code) == (409, "invoice_already_published")


async def test_a_void_leaves_the_mirror_image_of_all_that_was_posted(client: Client) -> None:
    invoice = await an_invoice(client, line_items=LINES, amount_due=100)

    cancelled = await do(client, invoice, "void")

    assert cancelled["status"] == "cancelled"
    assert [await balance(client, code) for code in TABLE] == [0] * 7
    again = await client.post(f"/v1/invoices/{invoice['id']}?action=void")
    assert (again.status, again.code) == (409, "invoice_cancelled")


async def test_an_invoice_with_credit_notes_is_not_voided(client: Client) -> None:
    invoice = await an_invoice(client)
    await client.post(f"/v1/invoices/{invoice['id']}/credit-notes", json={"reason": "returned", "amount": 10})

    answer = await client.post(f"/v1/invoices/{invoice['id']}/void")

    assert (answer.status, answer.code) == (409, "invoice_has_credits")


async def test_a_write_off_makes_the_rest_bad_debt(client: Client) -> None:
    invoice = await an_invoice(client, amount_due=30)

    after = await do(client, invoice, "write-off", reason="bankrupt")

    assert (after["status"], after["written_off_amount"], after["amount_due"]) == ("paid", 30, 0)
    assert await balance(client, "6100") == 30
    again = await client.post(f"/v1/invoices/{invoice['id']}/write-off", json={"reason": "again"})
    assert (again.status, again.code) == (409, "nothing_due")


async def test_a_status_set_by_hand_sticks_until_it_is_unpinned(client: Client) -> None:
    invoice = await an_invoice(client)

    pinned = await do(client, invoice, "status", status="overdue")
    edited = await change(client, invoice, amount=50)
    unpinned = await do(client, invoice, "status", status=None)

    assert (pinned["status"], pinned["status_pinned"]) == ("overdue", True)
    assert (edited["status"], edited["amount_due"]) == ("overdue", 50)
    assert (unpinned["status"], unpinned["status_pinned"]) == ("pending", False)


async def test_a_clone_is_a_new_draft_that_bills_the_same(client: Client) -> None:
    source = await an_invoice(client, line_items=LINES, memo="memo", amount_due=0)
    customer = (await a_customer(client, company_name="Bob Ltd"))["id"]

    answer = await client.post(
        f"/v1/invoices/{source['id']}/clone",
        json={"customer_id": customer, "issue_date": "2026-04-01", "due_date": "2026-05-01"},
    )

    copy = made(answer)
    assert (copy["status"], copy["amount"], copy["amount_due"], copy["memo"]) == ("draft", 130, 130, "memo")
    assert copy["customer_name"] == "Bob Ltd"
    assert copy["invoice_number"] not in {None, source["invoice_number"]}
    assert {line["id"] for line in copy["line_items"]}.isdisjoint(line["id"] for line in source["line_items"])


async def test_archiving_hides_an_invoice_until_it_is_restored(client: Client) -> None:
    invoice = await an_invoice(client)
    path = f"/v1/invoices/{invoice['id']}"

    answer = await client.delete(path)

    assert answer.json["success"] is True
    assert answer.data["archived_at"] is not None
    totals = [
        (await client.get(f"/v1/invoices?archived={a}")).json["pagination"]["total"] for a in ("false", "true", "any")
    ]
    assert totals == [0, 1, 1]
    assert (await do(client, invoice, "restore"))["archived_at"] is None
    again = await client.post(f"{path}/restore")
    assert (again.status, again.code) == (409, "invoice_not_archived")


async def test_only_a_draft_without_a_number_is_deleted_for_good(client: Client) -> None:
    numbered = await an_invoice(client, status="draft")
    await client.patch("/v1/settings/invoicing", json={"number_on": "issue"})
    draft = await an_invoice(client, status="draft")

    refused = await client.delete(f"/v1/invoices/{numbered['id']}?permanent=true")
    gone = await client.delete(f"/v1/invoices/{draft['id']}?permanent=true")

    assert (refused.status, refused.code) == (409, "invoice_not_deletable")
    assert gone.status == 200
    assert (await client.get(f"/v1/invoices/{draft['id']}")).code == "invoice_not_found"


async def test_tags_are_set_as_a_whole(client: Client) -> None:
    invoice = await an_invoice(client, tags=["a", "b"])

    after = found(await client.put(f"/v1/invoices/{invoice['id']}/tags", json={"tags": ["c", "c", "a"]}))

    assert after["tags"] == ["c", "a"]
    assert [one["id"] for one in (await client.get("/v1/invoices?tag=c")).data] == [invoice["id"]]


async def test_the_customer_can_change_while_nothing_is_applied(client: Client) -> None:
    invoice = await an_invoice(client)
    other = await a_customer(client, company_name="Bob Ltd")

    after = await change(client, invoice, customer_id=other["id"])

    assert after["customer"] == {"id": other["id"], "display_name": "Bob Ltd", "email": "ada@example.com"}


NOBODY = "018f0000-0000-7000-8000-000000000000"  # the same in each test process


@pytest.mark.parametrize(
    ("start", "fields", "status", "code", "field"),
    [
        ({}, {"amount": 0}, 422, "validation_failed", "amount"),
        ({}, {"amount_due": 101}, 422, "amount_due_exceeds_amount", "amount_due"),
        ({}, {"amount_due": -1}, 422, "validation_failed", "amount_due"),
        ({}, {"external_payment_amount": 101}, 422, "external_payment_exceeds_amount", "external_payment_amount"),
        ({}, {"amount_due": 50, "external_payment_amount": 10}, 422, "amount_due_inconsistent", "amount_due"),
        ({}, {"status": "draft"}, 409, "invoice_already_issued", "status"),
        ({"status": "cancelled"}, {"status": "pending"}, 409, "invoice_cancelled", None),
        ({"status": "cancelled"}, {"amount": 5}, 409, "invoice_cancelled", None),
        ({"status": "cancelled"}, {"line_items": LINES}, 409, "invoice_cancelled", None),
        ({}, {"invoice_number": "X-1"}, 409, "invoice_number_fixed", "invoice_number"),
        ({}, {"currency": "EUR"}, 409, "currency_fixed", "currency"),
        ({"status": "draft"}, {"currency": "EUR"}, 422, "currency_not_enabled", "currency"),
        ({}, {"customer_id": NOBODY}, 404, "customer_not_found", "customer_id"),
        ({}, {"line_items": [{"id": NOBODY, "quantity": 2}]}, 404, "line_item_not_found", "line_items[0].id"),
        ({}, {"line_items": [{"_destroy": True}]}, 422, "validation_failed", "line_items[0].id"),
        ({}, {"line_items": [{"unit_price": 2}]}, 422, "validation_failed", "line_items[0].description"),
        ({"line_items": LINES}, {"amount": 90}, 422, "amount_mismatch", "amount"),
        ({"line_items": LINES}, {"discount_type": "fixed", "discount_value": 131}, 422, "total_not_positive", None),
        ({"amount_due": 10}, {"amount": 50}, 409, "money_already_applied", None),
        ({}, {"nope": 1}, 422, "validation_failed", "nope"),
    ],
)
async def test_a_change_that_breaks_a_rule_is_refused_and_changes_nothing(
    client: Client, start: dict[str, Any], fields: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    invoice = await an_invoice(client, **start)

    answer = await client.patch(f"/v1/invoices/{invoice['id']}", json=fields)

    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.fields == ({field} if field else set())
    assert await the_invoice(client, invoice["id"]) == invoice


@pytest.mark.parametrize(
    ("start", "action", "body", "code"),
    [
        ({"status": "draft"}, "email", {}, "invoice_is_draft"),
        ({"status": "draft"}, "remind", {}, "invoice_is_draft"),
        ({"amount_due": 0}, "remind", {}, "nothing_due"),
        ({"status": "cancelled"}, "publish", {}, "invoice_cancelled"),
        ({"status": "cancelled"}, "remind", {}, "invoice_cancelled"),
        ({"status": "cancelled"}, "status", {"status": "paid"}, "invoice_cancelled"),
        ({"status": "draft"}, "write-off", {"reason": "x"}, "invoice_is_draft"),
        ({}, "status", {"status": "draft"}, "invoice_already_issued"),
    ],
)
async def test_an_action_at_the_wrong_time_is_a_conflict(
    client: Client, start: dict[str, Any], action: str, body: dict[str, Any], code: str
) -> None:
    invoice = await an_invoice(client, **start)

    by_path = await client.post(f"/v1/invoices/{invoice['id']}/{action}", json=body)
    by_name = await client.post(f"/v1/invoices/{invoice['id']}?action={action}", json=body)

    assert (by_path.status, by_path.code) == (409, code)
    assert (by_name.status, by_name.code) == (409, code)


async def test_an_unknown_action_is_a_bad_request(client: Client) -> None:
    invoice = await an_invoice(client)

    unknown = await client.post(f"/v1/invoices/{invoice['id']}?action=explode")
    none = await client.post(f"/v1/invoices/{invoice['id']}")

    assert (unknown.status, unknown.code) == (400, "unknown_action")
    assert (none.status, none.code) == (400, "unknown_action")


async def test_another_tenants_invoice_is_not_found(client: Client, other: Client) -> None:
    path = f"/v1/invoices/{(await an_invoice(other))['id']}"

    answers = [
        await client.get(path),
        await client.patch(path, json={"memo": "x"}),
        await client.delete(path),
        await client.post(f"{path}/void"),
        await client.put(f"{path}/tags", json={"tags": []}),
        await client.get("/v1/invoices/not-a-uuid"),
    ]

    assert [answer.status for answer in answers] == [404, 404, 404, 404, 404, 400]
    assert answers[0].code == "invoice_not_found"


async def test_reading_and_writing_need_their_scopes(client: Client, system: Any) -> None:
    invoice = await an_invoice(client)
    reader = await system.client(client.tenant_id, scopes=("invoices:read",))

    assert (await reader.get(f"/v1/invoices/{invoice['id']}")).status == 200
    refused = await reader.patch(f"/v1/invoices/{invoice['id']}", json={"memo": "x"})
    assert (refused.status, refused.code) == (403, "scope_missing")
