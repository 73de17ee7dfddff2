"""Cash application and matching by hand, through the whole system."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.payments.matching import search
from services.payments.matching.model import Finding, Receipt
from shared.db import DatabaseAway
from shared.ids import uuid7
from tests.harness import Client, System, wait_for
from tests.integration.payments.book import (
    a_customer,
    a_payment,
    an_invoice,
    due,
    examined,
    invoice,
    known,
    manual,
    payment,
    settled,
)


async def test_a_payment_that_names_its_invoice_pays_it_by_itself_and_says_why(client: Client) -> None:
    customer = await a_customer(client)
    owed = await an_invoice(client, customer, 250)

    made = await a_payment(
        client, 250, payer_name="NORTHWIND TRADING", payer_reference=f"pmt {owed['invoice_number'].lower()}"
    )
    paid = await settled(client, made)

    assert made["status"] == "unmatched"
    assert (await invoice(client, owed))["status"] == "paid"
    (allocation,) = paid["allocations"]
    assert (allocation["rule"], allocation["matched_by"]) == ("invoice_number_and_amount", "cash_application")
    assert allocation["evidence"][0] == f"the text names {owed['invoice_number']}"
    assert paid["customer_id"] == customer["id"]


async def test_money_that_comes_before_its_invoice_is_matched_when_the_invoice_comes(client: Client) -> None:
    made = await a_payment(client, 250, payer_reference="INV-SPECIAL-77")

    owed = await an_invoice(client, await a_customer(client), 250, invoice_number="INV-SPECIAL-77")

    await settled(client, made)
    assert await due(client, owed) == 0


async def test_two_equal_amounts_without_a_number_wait_as_suggestions(client: Client, system: System) -> None:
    customer = await a_customer(client)
    owed = [await an_invoice(client, customer, 99) for _ in range(2)]
    await known(client, system, *owed)

    made = await a_payment(client, 99, payer_name="Northwind Trading")
    seen = await examined(client, system, made)
    suggestions = (await client.get(f"/v1/payments/{made['id']}/suggestions")).data

    assert (seen["status"], seen["allocations"]) == ("unmatched", [])
    assert {s["allocations"][0]["invoice_id"] for s in suggestions[:2]} == {one["id"] for one in owed}
    assert suggestions[0]["confidence"] < Decimal("0.95")
    assert suggestions[0]["alternatives"]


async def test_another_tenants_number_is_never_matched(client: Client, system: System) -> None:
    owed = await an_invoice(client, await a_customer(client), 250, invoice_number="INV-4711-1")
    stranger = await system.client()

    made = await a_payment(stranger, 250, payer_name="Northwind Trading", payer_reference="INV-4711-1")
    await examined(stranger, system, made)

    assert (await stranger.get(f"/v1/payments/{made['id']}/suggestions")).data == []
    refused = await stranger.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})
    assert (refused.status, refused.code, refused.fields) == (404, "invoice_not_found", {"invoice_id"})


async def test_the_number_of_a_paid_invoice_is_left_to_a_person(client: Client, system: System) -> None:
    owed = await an_invoice(client, await a_customer(client), 250)
    text = {"payer_name": "Northwind Trading", "payer_reference": owed["invoice_number"]}
    await settled(client, await a_payment(client, 250, **text))

    again = await a_payment(client, 250, **text)

    assert (await examined(client, system, again))["status"] == "unmatched"


async def test_a_match_by_hand_applies_what_fits_and_leaves_the_rest(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 60)
    made = await a_payment(client, 100)

    answer = await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})

    matched = answer.data
    assert (matched["status"], matched["match_status"]) == ("partially_matched", "applied")
    assert (matched["applied_amount"], matched["unapplied_amount"]) == (60, 40)
    assert answer.headers["ETag"] == f'"{matched["version"]}"'
    assert await due(client, owed) == 0


async def test_null_takes_everything_off_again(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 60)
    made = await a_payment(client, 100)
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})

    off = (await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": None})).data

    assert (off["status"], off["match_status"], off["allocations"]) == ("unmatched", "none", [])
    assert off["customer_id"] is None
    assert await due(client, owed) == 60


async def test_what_a_person_took_off_is_not_put_back_by_itself(client: Client, system: System) -> None:
    owed = await an_invoice(client, await a_customer(client), 250)
    made = await a_payment(client, 250, payer_reference=owed["invoice_number"])
    await settled(client, made)

    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": None})
    await examined(client, system, made)
    result = (await client.post("/v1/payments/auto-match")).data

    assert (result["examined"], result["applied"]) == (1, 0)
    assert await due(client, owed) == 250
    trail = (await client.get(f"/v1/payments/{made['id']}/trail")).data
    assert [decision["action"] for decision in trail] == ["applied", "undone"]


async def test_two_matches_at_once_never_take_more_than_is_due(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 100)
    made = [await a_payment(client, 80) for _ in range(4)]

    answers = await asyncio.gather(
        *(client.patch(f"/v1/payments/{one['id']}", json={"invoice_id": owed["id"]}) for one in made)
    )

    assert {answer.status for answer in answers} <= {200, 409}
    found = [await payment(client, one) for one in made]
    assert sum(one["applied_amount"] for one in found) == 100
    assert await due(client, owed) == 0
    assert {one["match_status"] for one in found} <= {"applied", "none"}


async def test_the_same_match_twice_is_one_match(client: Client) -> None:
    await manual(client)
    owed = await an_invoice(client, await a_customer(client), 100)
    made = await a_payment(client, 100)
    path, body = f"/v1/payments/{made['id']}", {"invoice_id": owed["id"]}

    first, second = await asyncio.gather(client.patch(path, json=body), client.patch(path, json=body))
    third = await client.patch(path, json=body)

    assert {first.status, second.status, third.status} == {200}
    assert len(third.data["allocations"]) == 1


async def test_what_cannot_take_money_refuses_it(client: Client) -> None:
    await manual(client)
    customer = await a_customer(client)
    draft = await an_invoice(client, customer, 100, status="draft")
    gone = await an_invoice(client, customer, 100)
    await client.post(f"/v1/invoices/{gone['id']}/void")
    owed = await an_invoice(client, customer, 100)
    foreign = await a_payment(client, 100, currency="EUR")
    made = await a_payment(client, 100)
    unknown = "00000000-0000-7000-8000-000000000000"

    async def refusal(one: dict[str, object], invoice_id: object) -> tuple[int, str]:
        answer = await client.patch(f"/v1/payments/{one['id']}", json={"invoice_id": invoice_id})
        return answer.status, answer.code

    async def is_cancelled() -> bool:
        return await refusal(made, gone["id"]) == (409, "invoice_not_payable")

    await wait_for(is_cancelled)
    assert await refusal(made, draft["id"]) == (409, "invoice_not_payable")
    assert await refusal(foreign, owed["id"]) == (409, "currency_differs")
    assert await refusal(made, unknown) == (404, "invoice_not_found")


async def test_a_split_replaces_what_was_there(client: Client) -> None:
    await manual(client)
    customers = [await a_customer(client, "Acme Foods"), await a_customer(client, "Delta Fuels")]
    first = await an_invoice(client, customers[0], 100)
    second = await an_invoice(client, customers[1], 100)
    made = await a_payment(client, 150)
    path = f"/v1/payments/{made['id']}/allocations"

    def split(*parts: tuple[dict[str, object], int]) -> dict[str, object]:
        return {"allocations": [{"invoice_id": one["id"], "amount": amount} for one, amount in parts]}

    both = (await client.put(path, json=split((first, 100), (second, 50)))).data
    other = (await client.put(path, json=split((first, 100), (second, 20)))).data
    none = (await client.put(path, json=split())).data

    assert (both["status"], both["customer_id"]) == ("matched", None)
    assert (other["status"], other["unapplied_amount"]) == ("partially_matched", 30)
    kept = {a["invoice_id"]: a["id"] for a in both["allocations"]}[first["id"]]
    assert kept in {a["id"] for a in other["allocations"]}
    assert (none["status"], none["allocations"]) == ("unmatched", [])
    assert [await due(client, first), await due(client, second)] == [Decimal(100), Decimal(100)]


async def test_a_split_that_does_not_fit_is_refused_and_changes_nothing(client: Client, system: System) -> None:
    await manual(client)
    customer = await a_customer(client)
    owed = [await an_invoice(client, customer, 100) for _ in range(2)]
    await known(client, system, *owed)
    made = await a_payment(client, 150)
    path = f"/v1/payments/{made['id']}/allocations"

    def split(*amounts: int) -> dict[str, object]:
        pairs = zip(owed, amounts, strict=False)
        return {"allocations": [{"invoice_id": one["id"], "amount": amount} for one, amount in pairs]}

    too_much = await client.put(path, json=split(100, 51))
    over_due = await client.put(path, json=split(101))
    twice = await client.put(path, json={"allocations": split(10)["allocations"] * 2})  # type: ignore[operator]

    assert (too_much.status, too_much.code) == (422, "allocations_exceed_payment")
    assert (over_due.status, over_due.code, over_due.fields) == (
        422,
        "allocation_exceeds_due",
        {"allocations[0].amount"},
    )
    assert (twice.status, twice.code) == (422, "invoice_named_twice")
    assert (await payment(client, made))["version"] == made["version"]


async def test_recording_a_payment_for_an_invoice_pays_what_is_due_by_default(client: Client) -> None:
    owed = await an_invoice(client, await a_customer(client), 80)
    path = f"/v1/invoices/{owed['id']}/record-payment"

    first = await client.post(path, json={"amount": 30, "payment_method": "check", "date": "2026-11-05"})
    rest = await client.post(path, headers={"Idempotency-Key": "k1"})
    replay = await client.post(path, headers={"Idempotency-Key": "k1"})
    nothing = await client.post(path)

    assert (first.status, first.data["status"], first.data["payment_date"]) == (201, "matched", "2026-11-05")
    assert (rest.data["amount"], rest.data["status"], rest.data["source"]) == (50, "matched", "recorded")
    assert replay.json == rest.json
    assert (nothing.status, nothing.code) == (409, "nothing_due")
    assert (await invoice(client, owed))["status"] == "paid"


async def test_recording_more_than_is_due_leaves_the_rest_unapplied(client: Client) -> None:
    owed = await an_invoice(client, await a_customer(client), 80)

    made = (await client.post(f"/v1/invoices/{owed['id']}/record-payment", json={"amount": 100})).data

    assert (made["status"], made["unapplied_amount"]) == ("partially_matched", 20)


async def test_a_payer_under_another_name_is_learned_from_a_match_by_hand(client: Client, system: System) -> None:
    await manual(client)
    customer = await a_customer(client)
    first, second = await an_invoice(client, customer, 120), await an_invoice(client, customer, 345)
    made = await a_payment(client, 120, payer_name="Jane Doe")
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": first["id"]})
    await client.patch("/v1/settings/matching", json={"auto_match": True})

    paid = await settled(client, await a_payment(client, 345, payer_name="DOE, JANE"))

    assert paid["allocations"][0]["invoice_id"] == second["id"]
    assert 'payer "DOE, JANE" has paid for Northwind Trading LLC before' in paid["allocations"][0]["evidence"]


async def test_a_name_is_learned_when_a_person_reviews_what_was_matched(client: Client) -> None:
    customer = await a_customer(client, "Northwind Trading and Logistics Services LLC")
    first, second = await an_invoice(client, customer, 120), await an_invoice(client, customer, 345)
    made = await settled(client, await a_payment(client, 120, payer_name="Northwind Trading and Logistics"))
    assert made["allocations"][0]["invoice_id"] == first["id"]

    await client.patch(f"/v1/payments/{made['id']}", json={"reviewed": True})
    again = await settled(client, await a_payment(client, 345, payer_name="Northwind Trading and Logistics"))

    assert again["allocations"][0]["invoice_id"] == second["id"]
    assert "has paid for" in again["allocations"][0]["evidence"][0]


async def test_an_invoice_that_was_published_a_moment_ago_takes_money_at_once(client: Client) -> None:
    await manual(client)
    draft = await an_invoice(client, await a_customer(client), 100, status="draft")
    made = await a_payment(client, 100)
    assert (await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": draft["id"]})).status == 409

    await client.post(f"/v1/invoices/{draft['id']}/publish")
    answer = await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": draft["id"]})

    assert (answer.status, answer.data["status"]) == (200, "matched")


async def a_bad_and_a_good_one(client: Client) -> list[dict[str, Any]]:
    """Two payments in one batch that name their invoices; the text of the first one is `poison` besides."""
    customer = await a_customer(client)
    owed = [await an_invoice(client, customer, amount) for amount in (100, 200)]
    rows = [
        {"amount": one["amount"], "payment_date": "2026-11-20", "payer_reference": text + one["invoice_number"]}
        for one, text in zip(owed, ("poison ", ""), strict=True)
    ]
    found: list[dict[str, Any]] = (await client.post("/v1/payments/bulk", json=rows)).data
    return found


async def test_a_payment_that_breaks_our_rules_stops_no_other(
    client: Client, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = search.find

    def broken(receipt: Receipt, *arguments: Any) -> Finding:
        assert "poison" not in receipt.text
        return find(receipt, *arguments)

    monkeypatch.setattr(search, "find", broken)
    bad, good = await a_bad_and_a_good_one(client)

    await settled(client, good)
    assert (await examined(client, system, bad))["status"] == "unmatched"


async def test_a_payment_whose_turn_the_database_cuts_short_gets_another_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is looked at alone, since another one of its batch breaks our rules."""
    find = search.find
    cut_short: list[UUID] = []

    def broken(receipt: Receipt, *arguments: Any) -> Finding:
        assert "poison" not in receipt.text
        if not cut_short:
            cut_short.append(receipt.id)
            raise DatabaseAway(retry_after_seconds=1)
        return find(receipt, *arguments)

    monkeypatch.setattr(search, "find", broken)
    _, good = await a_bad_and_a_good_one(client)

    await settled(client, good)
    assert cut_short == [UUID(good["id"])]


async def test_a_learned_name_is_unlearned_when_its_match_is_undone(client: Client, system: System) -> None:
    customer = await a_customer(client)
    owed = await an_invoice(client, customer, 120)
    made = await a_payment(client, 120, payer_name="Jane Doe", payer_reference=owed["invoice_number"])
    await settled(client, made)
    await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": None})
    other = await an_invoice(client, customer, 345)
    await known(client, system, other)

    second = await a_payment(client, 345, payer_name="Jane Doe")

    assert (await examined(client, system, second))["status"] == "unmatched"


async def test_a_short_payment_within_the_tolerance_settles_the_invoice(client: Client, system: System) -> None:
    await client.patch("/v1/settings/matching", json={"tolerance": 15})
    owed = await an_invoice(client, await a_customer(client), 1000)
    await known(client, system, owed)

    made = await a_payment(client, 988, payer_name="Northwind Trading", payer_reference=owed["invoice_number"])
    paid = await settled(client, made)

    assert paid["allocations"][0]["write_off_amount"] == 12
    settled_invoice = await invoice(client, owed)
    assert (settled_invoice["status"], settled_invoice["written_off_amount"]) == ("paid", 12)


async def test_with_automatic_matching_off_it_runs_when_asked(client: Client, system: System) -> None:
    await manual(client)
    customer = await a_customer(client)
    owed = [await an_invoice(client, customer, 100 + place) for place in range(3)]
    await known(client, system, *owed)
    made = [await a_payment(client, 100 + p, payer_reference=o["invoice_number"]) for p, o in enumerate(owed)]
    lost = await a_payment(client, 7777)
    for one in [*made, lost]:
        await examined(client, system, one)

    result = (await client.post("/v1/payments/auto-match")).data

    assert result == {"examined": 4, "applied": 3, "suggested": 0, "unmatched": 1, "remaining": 0}
    assert {(await payment(client, one))["status"] for one in made} == {"matched"}


async def test_the_settings_say_what_holds(client: Client) -> None:
    defaults = (await client.get("/v1/settings/matching")).data
    changed = (await client.patch("/v1/settings/matching", json={"threshold": 0.99, "tolerance": 2.5})).data
    refused = await client.patch("/v1/settings/matching", json={"threshold": 1.5, "tolerance": -1})

    assert defaults == {"auto_match": True, "threshold": Decimal("0.95"), "tolerance": 0}
    assert changed == {"auto_match": True, "threshold": Decimal("0.99"), "tolerance": Decimal("2.5")}
    assert (refused.status, refused.fields) == (422, {"threshold", "tolerance"})


async def test_a_higher_threshold_leaves_more_to_people(client: Client, system: System) -> None:
    await client.patch("/v1/settings/matching", json={"threshold": 0.99})
    owed = await an_invoice(client, await a_customer(client), 123.45)
    await known(client, system, owed)

    made = await a_payment(client, 123.45, payer_name="Northwind Trading")

    assert (await examined(client, system, made))["status"] == "unmatched"


async def test_a_deleted_customer_takes_its_link_off_its_payments(client: Client, system: System) -> None:
    customer = await a_customer(client)
    owed = await an_invoice(client, customer, 100)
    made = await a_payment(client, 100, payer_reference=owed["invoice_number"])
    await settled(client, made)

    assert (await client.delete(f"/v1/customers/{customer['id']}")).status == 200

    async def has_lost_it() -> bool:
        return (await payment(client, made))["customer_id"] is None

    await wait_for(has_lost_it)


async def test_a_customer_deleted_by_force_gives_its_payments_back(client: Client) -> None:
    customer = await a_customer(client)
    owed = await an_invoice(client, customer, 100)
    made = await a_payment(client, 60, payer_name="Northwind Trading", payer_reference=owed["invoice_number"])
    await settled(client, made)

    assert (await client.delete(f"/v1/customers/{customer['id']}?force=true")).status == 200

    assert (await settled(client, made, "unmatched"))["unapplied_amount"] == 60


async def test_an_old_version_is_not_overwritten(client: Client) -> None:
    made = await a_payment(client, 100)

    stale = await client.patch(f"/v1/payments/{made['id']}", json={"notes": "x"}, headers={"If-Match": '"99"'})
    fresh = await client.put(f"/v1/payments/{made['id']}", json={"notes": "x", "reviewed": True})

    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert (fresh.data["notes"], fresh.data["reviewed"]) == ("x", True)


async def test_a_match_is_not_answered_with_what_became_of_an_older_one(client: Client, system: System) -> None:
    """Cash application has asked for money on an invoice that meanwhile was paid, and nobody has answered it yet."""
    await manual(client)
    customer = await a_customer(client)
    paid, due = await an_invoice(client, customer, 100), await an_invoice(client, customer, 50)
    made = await a_payment(client, 150)
    assert (await client.post(f"/v1/invoices/{paid['id']}/record-payment", json={})).status == 201
    async with system.owner() as conn, conn.transaction():
        await conn.execute(
            """insert into payments.allocations (tenant_id, id, payment_id, invoice_id, amount_cents, exact, state,
                   matched_by, created_at, updated_at)
               values ($1, $2, $3, $4, 10000, true, 'pending', 'cash_application', now(), now())""",
            client.tenant_id,
            uuid7(),
            made["id"],
            paid["id"],
        )
        await conn.execute("update payments.payments set reserved_cents = 10000 where id = $1", made["id"])

    answer = await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": due["id"]})

    assert (answer.status, answer.data["applied_amount"], answer.data["match_status"]) == (200, 50, "applied")
    assert [one["invoice_id"] for one in answer.data["allocations"]] == [due["id"]]
