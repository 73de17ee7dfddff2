"""Reading the ledger through the API."""

from decimal import Decimal

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import Json, a_payment, an_invoice, found, money, refused

UNKNOWN = "018f0000-0000-7000-8000-000000000000"  # the same in each test process


async def entries(client: Client, query: str = "") -> list[Json]:
    answer = await client.get(f"/v1/ledger/entries?{query}")
    assert answer.status == 200, answer
    listed: list[Json] = answer.data
    return listed


async def test_an_entry_shows_what_was_posted_and_balances(client: Client) -> None:
    invoice = await an_invoice(client, amount=120, tax_amount=20, issue_date="2026-11-01")

    (entry,) = await entries(client, f"invoice_id={invoice['id']}")

    assert (entry["date"], entry["kind"], entry["currency"], entry["reverses_id"]) == (
        "2026-11-01",
        "issue",
        "USD",
        None,
    )
    assert {(line["account_code"], line["debit"], line["credit"]) for line in entry["lines"]} == {
        ("1100", 120, 0),
        ("4000", 0, 100),
        ("2100", 0, 20),
    }
    assert found(await client.get(f"/v1/ledger/entries/{entry['id']}")) == entry


async def test_entries_are_found_by_account_invoice_payment_and_day(client: Client) -> None:
    invoice = await an_invoice(client, issue_date="2026-11-01")
    payment = await a_payment(client, invoice["id"], 60)
    tax = next(
        account["account_id"]
        for account in found(await client.get("/v1/ledger/trial-balance"))["accounts"]
        if account["code"] == "2100"
    )

    assert {entry["kind"] for entry in await entries(client, f"invoice_id={invoice['id']}")} >= {"issue", "application"}
    assert "application" in {entry["kind"] for entry in await entries(client, f"payment_id={payment['id']}")}
    assert await entries(client, f"account_id={tax}") == []
    assert [entry["kind"] for entry in await entries(client, "date_start=2026-11-01&date_end=2026-11-01")] == ["issue"]
    assert await entries(client, "date_end=2026-10-31") == []


async def test_a_void_is_a_reversing_entry_that_names_what_it_reverses(client: Client) -> None:
    invoice = await an_invoice(client)
    found(await client.post(f"/v1/invoices/{invoice['id']}/void"))

    posted = {entry["kind"]: entry for entry in await entries(client, f"invoice_id={invoice['id']}")}

    assert posted["reversal"]["reverses_id"] == posted["issue"]["id"]


async def test_the_trial_balance_is_even_and_every_account_has_its_balance(client: Client) -> None:
    await an_invoice(client, amount=120, tax_amount=20)

    balance = found(await client.get("/v1/ledger/trial-balance"))

    assert money(balance["total_debit"]) == money(balance["total_credit"]) == Decimal(120)
    assert {account["code"]: account["balance"] for account in balance["accounts"] if account["balance"]} == {
        "1100": 120,
        "2100": -20,
        "4000": -100,
    }


async def test_the_trial_balance_of_a_day_leaves_out_what_came_later(client: Client) -> None:
    await an_invoice(client, issue_date="2026-11-02")

    assert found(await client.get("/v1/ledger/trial-balance?as_of=2026-11-01"))["total_debit"] == 0
    assert found(await client.get("/v1/ledger/trial-balance?as_of=2026-11-02"))["total_debit"] == 100
    assert found(await client.get("/v1/ledger/trial-balance?currency=EUR"))["total_debit"] == 0


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("entries?date_start=x", (400, "invalid_query", "date_start")),
        ("entries?account_id=1100", (400, "invalid_query", "account_id")),
        ("entries?sort=amount", (400, "invalid_query", "sort")),
        (f"entries/{UNKNOWN}", (404, "entry_not_found", None)),
        ("entries/1", (400, "invalid_query", "entry_id")),
        ("trial-balance?as_of=2026-13-01", (400, "invalid_query", "as_of")),
    ],
)
async def test_reading_is_refused(client: Client, path: str, refusal: tuple[int, str, str | None]) -> None:
    assert refused(await client.get(f"/v1/ledger/{path}")) == refusal
