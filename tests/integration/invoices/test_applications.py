"""The command that puts money of payments on invoices: once, never more than is due, in one transaction."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from shared.http.client import InternalClient
from tests.harness import SECRETS, Client, System
from tests.integration.invoices.scenes import a_customer, an_invoice, balance, money, the_invoice

Json = dict[str, Any]


@pytest_asyncio.fixture
async def payments(system: System) -> AsyncIterator[InternalClient]:
    """Invoices as the payments service reaches them."""
    internal = InternalClient("payments", {"invoices": system.base_url}, SECRETS["ARPILOT_SECRET_KEY"])
    yield internal
    await internal.close()


def a_wish(client: Client, invoice: Json, cents: int, **fields: Any) -> Json:
    return {
        "allocation_id": str(uuid4()),
        "tenant_id": str(client.tenant_id),
        "payment_id": str(uuid4()),
        "invoice_id": invoice["id"],
        "amount_cents": cents,
        "currency": "USD",
        "payment_date": "2999-01-15",
        "payment_method": "wire",
        "payer_name": "Ada",
        "payer_reference": "thanks",
        "exact": False,
    } | fields


async def apply(payments: InternalClient, *wishes: Json) -> list[Json]:
    answer = await payments.post("invoices", "/internal/applications", {"applications": wishes}, dict[str, Any])
    results: list[Json] = answer["results"]
    return results


async def reverse(payments: InternalClient, *wishes: Json) -> list[Json]:
    reversals = [{name: wish[name] for name in ("tenant_id", "allocation_id")} for wish in wishes]
    answer = await payments.post("invoices", "/internal/applications/reverse", {"reversals": reversals}, dict[str, Any])
    results: list[Json] = answer["results"]
    return results


async def test_money_lowers_what_is_due_and_shows_in_the_history(client: Client, payments: InternalClient) -> None:
    invoice = await an_invoice(client)
    wish = a_wish(client, invoice, 6_000)

    (result,) = await apply(payments, wish)

    assert (result["status"], result["applied_cents"], result["amount_due_cents"]) == ("applied", 6_000, 4_000)
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], after["amount_due"], after["amount_paid"]) == ("partial", 40, 60)
    (paid,) = after["payments"]
    assert (paid["payment_id"], paid["amount"], paid["payment_method"]) == (wish["payment_id"], 60, "wire")
    assert [await balance(client, code) for code in ("1100", "2200")] == [40, 60]


async def test_the_same_allocation_is_answered_the_same_and_applied_once(
    client: Client, payments: InternalClient
) -> None:
    wish = a_wish(client, await an_invoice(client), 3_000)

    first = await apply(payments, wish)
    again = await asyncio.gather(*(apply(payments, wish) for _ in range(5)))

    assert all(one == first for one in again)
    assert (await the_invoice(client, wish["invoice_id"]))["amount_due"] == 70


async def test_two_payments_at_once_never_take_more_than_is_due(client: Client, payments: InternalClient) -> None:
    invoice = await an_invoice(client)
    wishes = [a_wish(client, invoice, 8_000) for _ in range(2)]

    results = await asyncio.gather(*(apply(payments, wish) for wish in wishes))

    assert sorted(result["applied_cents"] for (result,) in results) == [2_000, 8_000]
    after = await the_invoice(client, invoice["id"])
    assert (after["status"], after["amount_due"]) == ("paid", 0)


async def test_an_exact_allocation_that_does_not_fit_is_refused(client: Client, payments: InternalClient) -> None:
    wish = a_wish(client, await an_invoice(client), 10_001, exact=True)

    (result,) = await apply(payments, wish)

    assert (result["status"], result["code"]) == ("refused", "allocation_exceeds_due")
    assert result["amount_due_cents"] == 10_000


async def test_a_short_pay_within_the_tolerance_is_written_off(client: Client, payments: InternalClient) -> None:
    wish = a_wish(client, await an_invoice(client), 9_800, write_off_cents=200)

    await apply(payments, wish)

    after = await the_invoice(client, wish["invoice_id"])
    assert (after["status"], after["written_off_amount"]) == ("paid", 2)
    assert await balance(client, "6100") == 2
    await reverse(payments, wish)
    assert await balance(client, "6100") == 0
    assert (await the_invoice(client, wish["invoice_id"]))["amount_due"] == 100


@pytest.mark.parametrize(
    ("fields", "wished", "code"),
    [
        ({"status": "draft"}, {}, "invoice_not_open"),
        ({"status": "cancelled"}, {}, "invoice_not_open"),
        ({"amount_due": 0}, {}, "nothing_due"),
        ({}, {"currency": "EUR"}, "currency_mismatch"),
        ({}, {"invoice_id": str(uuid4())}, "invoice_not_found"),
    ],
)
async def test_money_goes_only_where_something_is_due_in_its_currency(
    client: Client, payments: InternalClient, fields: Json, wished: Json, code: str
) -> None:
    invoice = await an_invoice(client, **fields)

    (result,) = await apply(payments, a_wish(client, invoice, 100, **wished))

    assert (result["status"], result["code"]) == ("refused", code)


async def test_each_allocation_of_a_call_is_decided_on_its_own(client: Client, payments: InternalClient) -> None:
    invoice, unknown = await an_invoice(client), {"id": str(uuid4())}

    results = await apply(
        payments, a_wish(client, invoice, 7_000), a_wish(client, unknown, 1), a_wish(client, invoice, 7_000)
    )

    assert [result["status"] for result in results] == ["applied", "refused", "applied"]
    assert [result["applied_cents"] for result in results] == [7_000, 0, 3_000]


async def test_money_comes_off_again_once(client: Client, payments: InternalClient) -> None:
    wish = a_wish(client, await an_invoice(client), 10_000)
    await apply(payments, wish)

    for _ in range(2):
        (result,) = await reverse(payments, wish)
        assert result["status"] == "reversed"

    after = await the_invoice(client, wish["invoice_id"])
    assert (after["status"], after["amount_due"], after["payments"]) == ("pending", 100, [])
    assert [await balance(client, code) for code in ("1100", "2200")] == [100, 0]
    (late,) = await apply(payments, wish)
    assert late["status"] == "reversed"


async def test_an_allocation_reversed_before_it_came_is_never_applied(client: Client, payments: InternalClient) -> None:
    wish = a_wish(client, await an_invoice(client), 5_000)

    await reverse(payments, wish)
    (result,) = await apply(payments, wish)

    assert (result["status"], result["applied_cents"]) == ("reversed", 0)
    assert (await the_invoice(client, wish["invoice_id"]))["amount_due"] == 100


async def test_an_invoice_with_payments_is_not_voided_or_edited_below_them(
    client: Client, payments: InternalClient
) -> None:
    invoice = await an_invoice(client)
    await apply(payments, a_wish(client, invoice, 6_000))
    path = f"/v1/invoices/{invoice['id']}"

    void = await client.post(f"{path}/void")
    lower = await client.patch(path, json={"amount": 50})
    more_due = await client.patch(path, json={"amount_due": 50})
    customer = await client.patch(path, json={"customer_id": (await a_customer(client))["id"]})

    assert (void.status, void.code) == (409, "invoice_has_payments")
    assert (lower.status, lower.code) == (409, "money_already_applied")
    assert (more_due.status, more_due.code) == (409, "money_already_applied")
    assert (customer.status, customer.code) == (409, "customer_fixed")


async def test_edits_and_payments_at_once_keep_the_books_right(client: Client, payments: InternalClient) -> None:
    invoice = await an_invoice(client)
    path = f"/v1/invoices/{invoice['id']}"

    await asyncio.gather(
        *(apply(payments, a_wish(client, invoice, 900)) for _ in range(8)),
        *(client.patch(path, json={"amount": 100 + n}) for n in range(8)),
    )

    after = await the_invoice(client, invoice["id"])
    assert money(after["amount_due"]) == money(after["amount"]) - 72
    assert await balance(client, "1100") == money(after["amount_due"])


async def test_only_the_payments_service_may_apply_money(client: Client) -> None:
    answer = await client.post("/internal/applications", json={"applications": []})

    assert answer.status == 401


async def test_closing_a_customer_takes_payments_off_and_voids(client: Client, payments: InternalClient) -> None:
    customer = (await a_customer(client))["id"]
    invoice = await an_invoice(client, customer_id=customer)
    paid = await an_invoice(client, customer_id=customer, amount_due=0)
    wish = a_wish(client, invoice, 4_000)
    await apply(payments, wish)
    where = f"/internal/customers/{customer}"

    owed = await payments.get("invoices", f"{where}/balance", dict[str, Any], tenant_id=client.tenant_id)
    closed = await payments.post("invoices", f"{where}/close", {"tenant_id": str(client.tenant_id)}, dict[str, Any])

    assert owed is not None
    assert owed["data"] == {"open_invoices": 1, "amount_due": 60}
    assert closed["data"]["cancelled"] == 1
    assert closed["data"]["unapplied"] == [{"payment_id": wish["payment_id"], "allocation_id": wish["allocation_id"]}]
    assert (await the_invoice(client, invoice["id"]))["status"] == "cancelled"
    assert (await the_invoice(client, paid["id"]))["status"] == "paid"


async def test_the_database_refuses_to_change_the_journal(client: Client, system: System) -> None:
    await an_invoice(client)
    async with system.owner() as conn:
        for statement in (
            "update invoices.journal_lines set debit_cents = debit_cents + 1",
            "delete from invoices.journal_entries",
            "truncate invoices.journal_lines",
        ):
            with pytest.raises(asyncpg.RaiseError, match="immutable"):
                await conn.execute(statement)
        await conn.execute("set role arpilot_invoices")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("delete from invoices.journal_entries")


async def test_the_database_refuses_an_entry_that_does_not_balance(client: Client, system: System) -> None:
    entry_id, account_id = UUID(int=1), UUID(int=2)
    lines = f'[{{"entry_id": "{entry_id}", "account_id": "{account_id}", "debit_cents": 5, "credit_cents": 0}}]'
    async with system.owner() as conn:
        await conn.execute("set search_path = invoices")
        with pytest.raises(asyncpg.RaiseError, match="does not balance"):
            await conn.execute("select post_entries('[]', $1)", lines)
