"""import: a bank file of payments, against COPY of the rows that it leaves into bare tables."""

import asyncio
import io
import time
from uuid import UUID

import aiohttp

from bench.rows import ROUNDS, Row, median
from bench.stage import Stage, frozen, stage, worked_off
from services.payments.imports.actions import payment_of
from services.payments.imports.formats import detect
from services.payments.imports.formats import rows as formats
from services.payments.intake import actions as intake
from services.payments.intake.actions import Maker
from shared import clock

PAYMENTS = 100_000
PATIENCE_SECONDS = 180
LOOK_SECONDS = 0.1
BARE = """
    create table if not exists bench_payments (like payments.payments);
    create table if not exists bench_events (like payments.outbox including identity including defaults);
    truncate bench_payments, bench_events
"""


def bank_file(which: int) -> bytes:
    """A CSV file of payments that no other number has."""
    head = "Booking Date,Amount,Currency,Payer Name,Reference,Transaction ID\n"
    return (head + "".join(_line(which, number) for number in range(PAYMENTS))).encode()


def _line(which: int, number: int) -> str:
    cents = 10_000 + number
    day = number % 28 + 1
    return f"2026-10-{day:02},{cents / 100:.2f},USD,Payer {number % 997},INV-2026-{number:06},T{which}-{number}\n"


async def import_() -> list[Row]:
    """A file of 100,000 payments over HTTP until the job is done, their events among what is written."""
    async with stage(alone="payments") as running:
        rates: list[float] = []
        limits: list[float] = []
        prepared = None
        for number in range(ROUNDS):
            rates.append(await _imported(running, number))
            await worked_off(running)
            prepared = prepared or await _prepared(running)
            with frozen(running):
                limits.append(await _copied(running, prepared))
    async with stage() as running:
        together = await _imported(running, 0)
    detail = f"{median(rates):.0f} rows/s against {median(limits):.0f} rows/s"
    detail += f"; {together:.0f} rows/s while the same process works the events off in all five services"
    ratio = median([rate / limit for rate, limit in zip(rates, limits, strict=True)])
    return [Row("import", 0.25, ratio, at_least=True, detail=detail)]


async def _prepared(running: Stage) -> tuple[bytes, bytes]:
    """What the app wrote for the first file, as PostgreSQL's own binary rows: its payments, and an event for each."""
    conn = await running.connect()
    maker = Maker(UUID(running.tenants[0].tenant_id), "USD", "bench", "import", clock.now())
    rows = [row for row in detect.rows(io.BytesIO(bank_file(0)), "csv", None) if isinstance(row, formats.Row)]
    events = intake.prepare(maker, [payment_of(row) for row in rows]).created
    await conn.execute(BARE)
    await conn.copy_records_to_table("bench_events", records=events, columns=["tenant_id", "event_id", "type", "body"])
    written = []
    for query in ("select * from payments.payments", "select * from bench_events"):
        buffer = io.BytesIO()
        await conn.copy_from_query(query, output=buffer, format="binary")
        written.append(buffer.getvalue())
    await conn.close()
    return written[0], written[1]


async def _copied(running: Stage, prepared: tuple[bytes, bytes]) -> float:
    """The limit: COPY of the same rows into tables without keys; payments a second."""
    conn = await running.connect()
    await conn.execute(BARE)
    started = time.perf_counter()
    async with conn.transaction():
        for table, rows in zip(("bench_payments", "bench_events"), prepared, strict=True):
            await conn.copy_to_table(table, source=io.BytesIO(rows), format="binary")
    rate = PAYMENTS / (time.perf_counter() - started)
    await conn.close()
    return rate


async def _imported(running: Stage, number: int) -> float:
    headers = {"Authorization": f"Bearer {running.tenants[0].key}"}
    content = bank_file(number)
    async with aiohttp.ClientSession(running.base_url, headers=headers) as session:
        started = time.perf_counter()
        async with session.post("/v1/payments/import", data=content, params={"format": "csv"}) as response:
            assert response.status == 202, await response.text()
            job = (await response.json())["data"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while job["status"] == "processing":
                await asyncio.sleep(LOOK_SECONDS)
                async with session.get(f"/v1/payments/imports/{job['id']}") as response:
                    job = (await response.json())["data"]
        assert job["accepted"] == PAYMENTS, job
        return PAYMENTS / (time.perf_counter() - started)
