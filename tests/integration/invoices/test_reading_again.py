"""Answers about unchanged invoices come from memory; whatever changes is seen at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import a_customer, a_payment, an_invoice, found, the_invoice

Json = dict[str, Any]


async def in_list(client: Client, invoice_id: str) -> Json:
    answer = await client.get("/v1/invoices?per_page=100")
    assert answer.status == 200, answer.body
    return next(invoice for invoice in answer.data if invoice["id"] == invoice_id)


WAYS = pytest.mark.parametrize("read", [the_invoice, in_list], ids=["alone", "in a list"])
Read = Callable[[Client, str], Awaitable[Json]]


@WAYS
async def test_reading_an_invoice_twice_gives_the_same(client: Client, read: Read) -> None:
    invoice = await an_invoice(client)

    assert await read(client, invoice["id"]) == await read(client, invoice["id"])


@WAYS
async def test_an_edit_is_seen_at_once(client: Client, read: Read) -> None:
    invoice = await an_invoice(client, memo="before")
    await read(client, invoice["id"])

    found(await client.patch(f"/v1/invoices/{invoice['id']}", json={"memo": "after"}))

    assert (await read(client, invoice["id"]))["memo"] == "after"


@WAYS
async def test_money_is_seen_at_once(client: Client, read: Read) -> None:
    invoice = await an_invoice(client)
    await read(client, invoice["id"])

    await a_payment(client, invoice["id"], 40)

    assert (await read(client, invoice["id"]))["amount_due"] == 60


async def test_a_payment_is_listed_on_an_invoice_that_was_read_before(client: Client) -> None:
    invoice = await an_invoice(client)
    assert (await the_invoice(client, invoice["id"]))["payments"] == []

    await a_payment(client, invoice["id"], 40)

    assert [payment["amount"] for payment in (await the_invoice(client, invoice["id"]))["payments"]] == [40]


@WAYS
async def test_a_new_address_of_the_customer_is_seen(client: Client, read: Read) -> None:
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer_id=customer["id"])
    contact = customer["contacts"][0]["id"]

    async def email() -> object:
        return (await read(client, invoice["id"]))["customer"]["email"]

    assert await email() == "ada@example.com"
    path = f"/v1/contacts/{contact}"
    found(await client.patch(path, json={"email": "new@example.com"}))

    async def renewed() -> bool:
        return await email() == "new@example.com"

    await wait_for(renewed)


async def test_an_invoice_that_one_tenant_has_read_is_unknown_to_another(client: Client, system: System) -> None:
    invoice = await an_invoice(client)
    await the_invoice(client, invoice["id"])

    answer = await (await system.client()).get(f"/v1/invoices/{invoice['id']}")

    assert answer.status == 404


async def test_a_page_beyond_the_end_has_the_total(client: Client) -> None:
    await an_invoice(client)

    answer = await client.get("/v1/invoices?page=3&per_page=10")

    assert answer.data == []
    assert answer.json["pagination"] == {"page": 3, "per_page": 10, "total": 1, "total_pages": 1}


async def test_lists_that_are_read_at_the_same_time_stay_apart(system: System) -> None:
    clients = [await system.client() for _ in range(4)]
    for number, client in enumerate(clients):
        for memo in range(number):
            await an_invoice(client, memo=f"{number}-{memo}")

    async def pages(client: Client) -> list[tuple[list[str], int]]:
        paths = ("per_page=2", "per_page=2&page=2", "status=pending&per_page=2", "status=paid")
        answers = [await client.get(f"/v1/invoices?{path}") for path in paths]
        return [
            ([invoice["memo"] for invoice in answer.data], answer.json["pagination"]["total"]) for answer in answers
        ]

    for number, seen in enumerate(await asyncio.gather(*(pages(client) for client in clients))):
        newest_first = [f"{number}-{memo}" for memo in reversed(range(number))]
        first, second = (newest_first[:2], number), (newest_first[2:4], number)
        assert seen == [first, second, first, ([], 0)]
