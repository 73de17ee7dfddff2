"""Every list around invoices can be read by pages and by cursors, and both show the same rows."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.harness import Client, System
from tests.integration.invoices.scenes import Json, a_credit_note, a_customer, an_invoice, made, refused

ROWS = 5


async def products(client: Client, number: int) -> None:
    made(await client.post("/v1/products", json={"name": f"Product {number}"}))


async def tax_rates(client: Client, number: int) -> None:
    made(await client.post("/v1/tax-rates", json={"name": f"Rate {number}", "rate": number / 100}))


async def accounts(client: Client, number: int) -> None:
    body = {"code": f"50{number:02}", "name": f"Account {number}", "type": "income"}
    made(await client.post("/v1/ledger/accounts", json=body))


async def entries(client: Client, number: int) -> None:
    await an_invoice(client, amount=number + 1)


async def credit_notes(client: Client, number: int) -> None:
    invoice = await an_invoice(client)
    await a_credit_note(client, invoice["id"], amount=number + 1)


async def disputes(client: Client, number: int) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_id": invoice["id"], "reason": "x", "amount": number + 1}
    made(await client.post("/v1/disputes", json=body))


async def payment_plans(client: Client, number: int) -> None:
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer_id=customer["id"], amount=number + 1)
    parts = [{"due_date": "2999-01-01", "amount": number + 1}]
    made(await client.post("/v1/payment-plans", json={"invoice_ids": [invoice["id"]], "instalments": parts}))


LISTS: dict[str, tuple[Callable[[Client, int], Awaitable[None]], tuple[str, ...]]] = {
    "/v1/products": (products, ("created_at", "name")),
    "/v1/tax-rates": (tax_rates, ("created_at", "name", "rate")),
    "/v1/ledger/accounts": (accounts, ("created_at", "name", "code")),
    "/v1/ledger/entries": (entries, ("created_at", "date")),
    "/v1/credit-notes": (credit_notes, ("created_at", "date", "amount", "credit_note_number")),
    "/v1/disputes": (disputes, ("created_at", "amount", "status")),
    "/v1/payment-plans": (payment_plans, ("created_at", "amount", "status")),
}


@pytest.fixture(params=LISTS)
async def path(client: Client, request: pytest.FixtureRequest) -> str:
    make, _ = LISTS[request.param]
    for number in range(ROWS):
        await make(client, number)
    name: str = request.param
    return name


async def by_pages(client: Client, path: str, query: str) -> list[Json]:
    rows: list[Json] = []
    number = 1
    while True:
        answer = await client.get(f"{path}?page={number}&per_page=2{query}")
        assert answer.status == 200, answer
        rows += answer.data
        pagination = answer.json["pagination"]
        assert (pagination["page"], pagination["per_page"]) == (number, 2)
        if number >= pagination["total_pages"]:
            assert pagination["total"] == len(rows)
            return rows
        number += 1


async def by_cursors(client: Client, path: str, query: str) -> list[Json]:
    rows: list[Json] = []
    after = ""
    while True:
        answer = await client.get(f"{path}?limit=2{after}{query}")
        assert answer.status == 200, answer
        rows += answer.data
        if not answer.json["pagination"]["has_next_page"]:
            return rows
        after = f"&after={answer.json['pagination']['end_cursor']}"


async def test_pages_and_cursors_show_the_same_rows_in_every_order(client: Client, path: str) -> None:
    for sort in LISTS[path][1]:
        for order in ("asc", "desc"):
            query = f"&sort={sort}&order={order}"
            pages = await by_pages(client, path, query)
            assert [row["id"] for row in pages] == [row["id"] for row in await by_cursors(client, path, query)], query
            assert len({row["id"] for row in pages}) == len(pages) >= ROWS


async def test_cursors_lead_back(client: Client, path: str) -> None:
    rows = await by_cursors(client, path, "")
    last = (await client.get(f"{path}?limit={ROWS}")).json["pagination"]["end_cursor"]

    answer = await client.get(f"{path}?limit=2&before={last}")

    assert [row["id"] for row in answer.data] == [row["id"] for row in rows[ROWS - 3 : ROWS - 1]]
    assert answer.json["pagination"]["has_next_page"] is True


async def test_the_newest_comes_first(client: Client, path: str) -> None:
    rows = await by_pages(client, path, "")

    made_at = [row["created_at"] for row in rows]
    assert made_at == sorted(made_at, reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("per_page=101", "per_page"),
        ("per_page=x", "per_page"),
        ("limit=0", "limit"),
        ("limit=2&page=1", "page"),
        ("after=a&before=b", "before"),
        ("after=%FF", "after"),
        ("after=bm9uc2Vuc2U", "after"),
        ("sort=secret", "sort"),
        ("order=up", "order"),
        ("colour=red", "colour"),
    ],
)
@pytest.mark.parametrize("name", LISTS)
async def test_a_wrong_query_is_refused(client: Client, name: str, query: str, field: str) -> None:
    assert refused(await client.get(f"{name}?{query}")) == (400, "invalid_query", field)


async def test_another_tenants_rows_do_not_exist(client: Client, system: System, path: str) -> None:
    stranger = await system.client()
    mine: list[dict[str, Any]] = (await client.get(path)).data

    theirs = (await stranger.get(path)).data
    one = await stranger.get(f"{path}/{mine[0]['id']}")

    assert not {row["id"] for row in mine} & {row["id"] for row in theirs}
    assert one.status == 404


@pytest.mark.parametrize("name", LISTS)
async def test_reading_needs_the_scope(client: Client, system: System, name: str) -> None:
    stranger = await system.client(client.tenant_id, scopes=("customers",))

    assert refused(await stranger.get(name))[:2] == (403, "scope_missing")
