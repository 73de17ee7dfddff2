"""The index in memory is what the table says, whatever was rolled back and whoever else wrote."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from services.payments.matching import actions, store
from services.payments.matching.books import Books
from services.payments.matching.store import KnownInvoice
from shared.db import Database
from shared.ids import uuid7
from tests.harness import System

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def database(system: System) -> Database:
    return system.process.runtimes["payments"].database


def an_invoice(
    number: str, *, due_cents: int = 10000, sequence: int = 1, invoice_id: UUID | None = None
) -> KnownInvoice:
    return KnownInvoice(
        id=invoice_id or uuid7(),
        customer_id=uuid7(),
        customer_name="Acme",
        number=number,
        currency="USD",
        amount_cents=10000,
        due_cents=due_cents,
        issue_date=date(2026, 11, 1),
        due_date=date(2026, 12, 1),
        terms=None,
        status="pending",
        archived=False,
        sequence=sequence,
    )


async def remember(database: Database, tenant_id: UUID, *invoices: KnownInvoice) -> None:
    async with database.transaction() as conn:
        await actions.remember_invoices(conn, tenant_id, invoices, now=NOW)


async def dues(database: Database, tenant_id: UUID, books: Books, *invoices: KnownInvoice) -> list[int]:
    """What the index says is due on each; 0 where it has none."""
    async with database.connection() as conn, books.opened(conn, tenant_id) as index:
        return [found.due_cents if (found := index.get(invoice.id)) else 0 for invoice in invoices]


async def test_the_newest_state_of_an_invoice_wins_in_whatever_order_it_comes(database: Database) -> None:
    tenant_id, books, first = uuid7(), Books(), an_invoice("INV-1")
    newest = an_invoice("INV-1", due_cents=300, sequence=3, invoice_id=first.id)
    older = an_invoice("INV-1", due_cents=200, sequence=2, invoice_id=first.id)

    await remember(database, tenant_id, newest)
    await remember(database, tenant_id, older, first)

    assert await dues(database, tenant_id, books, first) == [300]


async def test_an_index_learns_of_what_others_wrote_since(database: Database) -> None:
    tenant_id, books, first, second = uuid7(), Books(), an_invoice("INV-1"), an_invoice("INV-2")
    await remember(database, tenant_id, first)
    assert await dues(database, tenant_id, books, first, second) == [10000, 0]

    await remember(database, tenant_id, second)
    await remember(database, tenant_id, an_invoice("INV-1", due_cents=0, sequence=2, invoice_id=first.id))

    assert await dues(database, tenant_id, books, first, second) == [0, 10000]


async def test_what_was_decided_and_rolled_back_leaves_no_trace(database: Database) -> None:
    tenant_id, books, invoice = uuid7(), Books(), an_invoice("INV-1")
    await remember(database, tenant_id, invoice)

    async def decide_and_fail() -> None:
        async with database.transaction() as conn:
            await store.next_tick(conn, tenant_id)
            async with books.opened(conn, tenant_id) as index:
                index.pay(invoice.id, 10000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await decide_and_fail()

    assert await dues(database, tenant_id, books, invoice) == [10000]


async def test_an_index_that_failed_is_not_used_by_those_who_waited_for_it(database: Database) -> None:
    tenant_id, books, invoice = uuid7(), Books(), an_invoice("INV-1")
    await remember(database, tenant_id, invoice)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        async with database.connection() as conn, books.opened(conn, tenant_id) as index:
            index.pay(invoice.id, 10000)
            entered.set()
            await go_on.wait()
            raise ZeroDivisionError

    failing = asyncio.create_task(fail())
    await entered.wait()
    waiting = asyncio.create_task(dues(database, tenant_id, books, invoice))
    await asyncio.sleep(0.05)
    go_on.set()

    assert await waiting == [10000]
    with pytest.raises(ZeroDivisionError):
        await failing


async def test_an_event_that_comes_after_its_customer_was_deleted_brings_nothing_back(database: Database) -> None:
    tenant_id, books, invoice = uuid7(), Books(), an_invoice("INV-1")
    await remember(database, tenant_id, invoice)
    async with database.transaction() as conn:
        await actions.forget_customer(conn, tenant_id, invoice.customer_id)

    await remember(database, tenant_id, an_invoice("INV-1", sequence=9, invoice_id=invoice.id))

    async with database.connection() as conn:
        known = (await store.known(conn, tenant_id, [invoice.id]))[invoice.id]
    assert (known.status, known.customer_name, known.number) == ("deleted", "", None)
    assert await dues(database, tenant_id, books, invoice) == [0]


async def test_tenants_do_not_see_each_others_invoices(database: Database) -> None:
    books, invoice = Books(), an_invoice("INV-1")
    await remember(database, uuid7(), invoice)

    assert await dues(database, uuid7(), books, invoice) == [0]
