"""`make demo`: feed a year of a small firm's book through the public API into the system that runs here."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import demo_book
from bench.demo_book import Book, Issued
from shared.http import outside
from shared.http.outside import Api, ApiRefused

AT_ONCE = 8
BANK_FILE = "demo-bank.csv"
INVOICES_A_CALL = 100
PAYMENTS_A_CALL = 500
LOOK_SECONDS = 0.5
MOST_LOOKS = 60
QUIET_LOOKS = 8
"""Cash application is done when this many looks in a row find nothing new."""


@click.command("demo")
@click.option("--seed", default=1, show_default=True, help="Another seed is another book.")
@click.option("--customers", default=60, show_default=True, type=click.IntRange(1, 300))
@click.option("--invoices", default=800, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--url", help="The API; default ARPILOT_API_URL, else the one that `run all` started here.")
@click.option("--key", help="An API key; default ARPILOT_API_KEY, else the demo key.")
def demo(seed: int, customers: int, invoices: int, url: str | None, key: str | None) -> None:
    """Fill the running system with a year of a small firm's book.

    The same seed on the same day adds nothing: every request carries an idempotency key.
    """
    today = datetime.now(UTC).date()
    book = demo_book.invented(seed, today, customers=customers, invoices=invoices)
    asyncio.run(fed(book, seed, today, *outside.place(url, key, os.environ)))


@dataclass
class Feeder:
    """What all steps need: the API, the bar, and what the requests of this book are called."""

    api: Api
    progress: Progress
    name: str

    async def each(self, title: str, items: Sequence[Any], work: Callable[[int, Any], Awaitable[Any]]) -> list[Any]:
        """Do something for each item, some at once, and move the bar; answers in the order of the items."""
        task = self.progress.add_task(title, total=len(items))
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(index: int, item: Any) -> Any:
            async with gate:
                answer = await work(index, item)
            self.progress.advance(task)
            return answer

        return list(await asyncio.gather(*(one(index, item) for index, item in enumerate(items))))

    async def post(self, path: str, body: object, key: str) -> Any:
        """Ask for something once, however often the demo is run."""
        return (await self.api.post(path, body, key=f"{self.name}-{key}"))["data"]


async def fed(book: Book, seed: int, today: date, url: str, key: str) -> None:
    """Feed the book step by step, then say what is there."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        async with outside.connected(url, key) as api:
            feeder = Feeder(api, progress, f"demo-{seed}-{today}")
            customer_ids = await add_customers(feeder, book)
            issued = await add_invoices(feeder, book, customer_ids)
            payments = demo_book.payments(seed, today, book.customers, issued)
            await add_payments(feeder, payments)
            await trouble(feeder, issued, today)
            matched = await until_matched(feeder, seed, len(payments))
    click.echo(
        f"{len(customer_ids)} customers, {len(book.invoices)} invoices, {len(payments)} payments,"
        f" {matched} of them matched by themselves. See {url}/docs"
    )
    write_bank_file(demo_book.bank_file(seed, today, book.customers, issued))


def write_bank_file(content: str) -> None:
    """Leave a bank file that pays some of what is still open, to try `arpilot import` with."""
    data_dir = Path(os.environ.get("ARPILOT_DATA_DIR") or ".arpilot")
    if data_dir.is_dir():
        path = data_dir / BANK_FILE
        path.write_text(content)
        click.echo(f"Today's bank file is {path}: arpilot import {path}")


async def add_customers(feeder: Feeder, book: Book) -> list[str]:
    """Make the customers; returns their ids."""

    async def add(index: int, customer: demo_book.Customer) -> str:
        return str((await feeder.post("/v1/customers", customer.body, f"customer-{index}"))["id"])

    return await feeder.each("Customers", book.customers, add)


async def add_invoices(feeder: Feeder, book: Book, customer_ids: Sequence[str]) -> list[Issued]:
    """Make the invoices with a sales tax, oldest first, and read what they come to."""
    rate = await feeder.post("/v1/tax-rates", {"name": "Sales tax", "rate": 0.0725}, "tax-rate")
    bodies = [
        {**one.body, "customer_id": customer_ids[one.customer], "tax_rate_ids": [rate["id"]], "tax_type": "summary"}
        for one in book.invoices
    ]
    task = feeder.progress.add_task("Invoices", total=len(bodies))
    ids: list[str] = []
    for start in range(0, len(bodies), INVOICES_A_CALL):
        part = bodies[start : start + INVOICES_A_CALL]
        ids += [made(row) for row in await feeder.post("/v1/invoices/bulk", part, f"invoices-{start}")]
        feeder.progress.update(task, completed=len(ids))
    stored = await all_invoices(feeder, len(ids))
    return [
        Issued(invoice_id, stored[invoice_id]["invoice_number"], Decimal(str(stored[invoice_id]["amount"])), plan)
        for invoice_id, plan in zip(ids, book.invoices, strict=True)
    ]


def made(row: dict[str, Any]) -> str:
    """Give the id of a row of a bulk answer, or say why there is none."""
    if row["status"] != "created":
        raise ApiRefused(str(row["problem"]["detail"]))
    return str(row["id"])


async def all_invoices(feeder: Feeder, count: int) -> dict[str, dict[str, Any]]:
    """Read all invoices by cursor."""
    task = feeder.progress.add_task("Reading back", total=count)
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        answer = await feeder.api.get("/v1/invoices", limit=100, **cursor)
        found |= {one["id"]: one for one in answer["data"]}
        feeder.progress.update(task, completed=min(len(found), count))
        if not answer["pagination"]["has_next_page"]:
            return found
        cursor = {"after": answer["pagination"]["end_cursor"]}


async def add_payments(feeder: Feeder, payments: Sequence[dict[str, Any]]) -> None:
    """Report the payments. One that is known from an earlier run is refused as a duplicate, which is fine."""
    task = feeder.progress.add_task("Payments", total=len(payments))
    for start in range(0, len(payments), PAYMENTS_A_CALL):
        part = payments[start : start + PAYMENTS_A_CALL]
        await feeder.post("/v1/payments/bulk", list(part), f"payments-{start}")
        feeder.progress.advance(task, len(part))


async def trouble(feeder: Feeder, issued: Sequence[Issued], today: date) -> None:
    """Dispute, credit, write off, and put on plans what was invented so."""
    ways = {"disputed": dispute, "credited": credit, "planned": put_on_plan, "lost": write_off}
    troubled = [one for one in issued if one.plan.fate in ways]

    async def make(index: int, one: Issued) -> None:
        await ways[one.plan.fate](feeder, index, one, today)

    await feeder.each("Disputes, plans, credit", troubled, make)


async def dispute(feeder: Feeder, index: int, one: Issued, _: date) -> None:
    """Dispute an invoice; every third dispute is resolved."""
    reason = demo_book.DISPUTES[index % len(demo_book.DISPUTES)]
    opened = await feeder.post("/v1/disputes", {"invoice_id": one.id, "reason": reason}, f"dispute-{index}")
    if index % 3 == 0:
        body = {"resolution": "rejected", "notes": "The signed order says so."}
        await feeder.post(f"/v1/disputes/{opened['id']}/resolve", body, f"resolve-{index}")


async def credit(feeder: Feeder, index: int, one: Issued, _: date) -> None:
    """Give credit for a fifth of an invoice."""
    amount = float((one.amount / 5).quantize(Decimal("0.01")))
    body = {"reason": demo_book.CREDITS[index % len(demo_book.CREDITS)], "amount": amount}
    await feeder.post(f"/v1/invoices/{one.id}/credit-notes", body, f"credit-{index}")


async def put_on_plan(feeder: Feeder, index: int, one: Issued, today: date) -> None:
    """Let a customer pay in monthly instalments."""
    start = (today + timedelta(days=10)).isoformat()
    body = {"invoice_ids": [one.id], "count": 3 + index % 4, "frequency": "monthly", "start_date": start}
    await feeder.post("/v1/payment-plans", body, f"plan-{index}")


async def write_off(feeder: Feeder, index: int, one: Issued, _: date) -> None:
    """Give an invoice up."""
    await feeder.post(f"/v1/invoices/{one.id}/write-off", {"reason": "The customer is bankrupt"}, f"write-off-{index}")


async def until_matched(feeder: Feeder, seed: int, count: int) -> int:
    """Watch cash application until nothing changes any more; returns how many payments it matched."""
    task = feeder.progress.add_task("Matching themselves", total=count)
    matched = quiet = 0
    for _ in range(MOST_LOOKS):
        await asyncio.sleep(LOOK_SECONDS)
        answer = await feeder.api.get("/v1/payments", status="matched", search=demo_book.payment_id(seed), per_page=1)
        total = int(answer["pagination"]["total"])
        quiet = quiet + 1 if total == matched and total else 0
        matched = total
        feeder.progress.update(task, completed=matched)
        if matched == count or quiet == QUIET_LOOKS:
            break
    return matched
