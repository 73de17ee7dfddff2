"""Lists of invoices: filters, search, sorts, both paginations, exact totals."""

from typing import Any

import pytest

from services.invoices.settlement.clock_store import fold_counts
from tests.harness import Client, System
from tests.integration.invoices.scenes import a_customer, an_invoice


async def listed(client: Client, query: str) -> list[Any]:
    answer = await client.get(f"/v1/invoices?{query}")
    assert answer.status == 200, answer.body
    return [invoice["memo"] for invoice in answer.data]


async def a_book(client: Client) -> str:
    """Three invoices named by their memo; returns the customer of the first."""
    customer: str = (await a_customer(client, company_name="Zebra 50% Ltd"))["id"]
    await an_invoice(
        client,
        customer_id=customer,
        memo="first",
        amount=10,
        issue_date="2026-01-01",
        due_date="2026-02-01",
        tags=["x"],
        category="c",
        project="p",
        invoice_number="N-1",
    )
    await an_invoice(client, memo="second", amount=20, issue_date="2026-02-01", due_date="2999-03-01", notes="secret")
    await an_invoice(client, memo="third", amount=30, issue_date="2026-03-01", due_date="2999-02-01", status="draft")
    return customer


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["third", "second", "first"]),
        ("status=overdue", ["first"]),
        ("status=pending,draft", ["third", "second"]),
        ("invoice_number=N-1", ["first"]),
        ("tag=x", ["first"]),
        ("tag=y", []),
        ("category=c", ["first"]),
        ("project=p", ["first"]),
        ("currency=USD", ["third", "second", "first"]),
        ("currency=EUR", []),
        ("issue_date_start=2026-02-01", ["third", "second"]),
        ("issue_date_end=2026-02-01", ["second", "first"]),
        ("due_date_start=2999-02-02", ["second"]),
        ("due_date_end=2999-02-01", ["third", "first"]),
        ("created_at_start=2020-01-01&created_at_end=2999-01-01", ["third", "second", "first"]),
        ("created_at_end=2020-01-01T00:00:00Z", []),
        ("created_at_start=2020-01-01T00:00:00%2B02:00", ["third", "second", "first"]),
        ("amount_min=20&amount_max=29.99", ["second"]),
        ("search=zebra", ["first"]),
        ("search=50%25", ["first"]),
        ("search=n-1", ["first"]),
        ("search=SECRET", ["second"]),
        ("search=ird", ["third"]),
        ("archived=true", []),
        ("sort=amount", ["first", "second", "third"]),
        ("sort=amount&order=desc", ["third", "second", "first"]),
        ("sort=due_date&order=asc", ["first", "third", "second"]),
        ("sort=issue_date&order=desc", ["third", "second", "first"]),
        ("sort=amount_due&order=asc", ["first", "second", "third"]),
        ("sort=invoice_number&order=desc", ["first", "third", "second"]),
        ("sort=created_at&order=asc", ["first", "second", "third"]),
    ],
)
async def test_a_filter_or_a_sort_finds_what_it_says(client: Client, query: str, found: list[str]) -> None:
    await a_book(client)

    assert await listed(client, query) == found
    total = (await client.get(f"/v1/invoices?{query}")).json["pagination"]["total"]
    assert total == len(found)


async def test_a_customers_invoices_are_listed(client: Client) -> None:
    customer = await a_book(client)

    assert await listed(client, f"customer_id={customer}") == ["first"]


@pytest.mark.parametrize("sort", ["created_at", "amount", "invoice_number", "due_date"])
async def test_cursors_read_every_row_once_in_both_directions(client: Client, sort: str) -> None:
    customer = (await a_customer(client))["id"]
    rows = [{"customer_id": customer, "amount": 1 + n % 3, "memo": str(n), "due_date": "2999-01-01"} for n in range(7)]
    await client.post("/v1/invoices/bulk", json=rows)
    query, seen = f"/v1/invoices?limit=3&sort={sort}", []

    answer = await client.get(query)
    while True:
        seen += [invoice["id"] for invoice in answer.data]
        if not answer.json["pagination"]["has_next_page"]:
            break
        answer = await client.get(f"{query}&after={answer.json['pagination']['end_cursor']}")
    back = await client.get(f"{query}&before={answer.json['pagination']['start_cursor']}")

    assert len(seen) == len(set(seen)) == 7
    assert [invoice["id"] for invoice in back.data] == seen[3:6]


async def test_totals_stay_exact_while_invoices_change_and_after_the_counts_are_folded(
    client: Client, system: System
) -> None:
    await a_book(client)
    invoice = await an_invoice(client)
    await client.patch(f"/v1/invoices/{invoice['id']}", json={"status": "paid"})
    await client.delete(f"/v1/invoices/{invoice['id']}")

    async def totals() -> list[int]:
        queries = ("", "status=paid", "status=paid&archived=true", "archived=any", "status=draft,overdue")
        return [(await client.get(f"/v1/invoices?{q}")).json["pagination"]["total"] for q in queries]

    assert await totals() == [3, 0, 1, 4, 2]
    async with system.process.runtimes["invoices"].database.transaction() as conn:
        await fold_counts(conn)
    assert await totals() == [3, 0, 1, 4, 2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=sent", "status[0]"),
        ("customer_id=x", "customer_id"),
        ("issue_date_start=soon", "issue_date_start"),
        ("created_at_start=soon", "created_at_start"),
        ("amount_min=1.234", "amount_min"),
        ("archived=maybe", "archived"),
        ("sort=colour", "sort"),
        ("colour=red", "colour"),
        ("page=1&limit=2", "page"),
        ("after=xyz", "after"),
    ],
)
async def test_a_bad_query_is_refused_by_its_field(client: Client, query: str, field: str) -> None:
    answer = await client.get(f"/v1/invoices?{query}")

    assert (answer.status, answer.code) == (400, "invalid_query")
    assert answer.fields == {field}


async def test_a_list_shows_nothing_of_another_tenant(client: Client, other: Client) -> None:
    await an_invoice(other)

    assert (await client.get("/v1/invoices?archived=any")).data == []
