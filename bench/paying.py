"""import: a bank file of payments, against COPY of the same rows into a bare table."""

import asyncio
import io
import time

import aiohttp

from bench.rows import ROUNDS, Row, median
from bench.stage import Stage, stage

PAYMENTS = 100_000
PATIENCE_SECONDS = 180
LOOK_SECONDS = 0.1
BARE = """
    create table if not exists bench_bare (
        tenant_id uuid, booked date, amount numeric, payer_name text, reference text, bank_id text)
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
    """A file of 100,000 payments over HTTP until the job is done, events and all."""
    async with stage() as running:
        pairs = []
        for number in range(ROUNDS):
            limit = await _copied(running, number)
            pairs.append((await _imported(running, number), limit))
    detail = f"{median([a for a, _ in pairs]):.0f} rows/s against {median([b for _, b in pairs]):.0f} rows/s"
    return [Row("import", 0.25, median([a / b for a, b in pairs]), at_least=True, detail=detail)]


async def _copied(running: Stage, number: int) -> float:
    """The limit: COPY of the same rows, prepared, into a table without keys."""
    lines = bank_file(number).splitlines()[1:]
    tenant_id = running.tenants[0].tenant_id.encode()
    prepared = io.BytesIO(b"".join(b"%b,%b\n" % (tenant_id, line.replace(b",USD,", b",")) for line in lines))
    conn = await running.connect()
    await conn.execute(BARE)
    started = time.perf_counter()
    await conn.copy_to_table("bench_bare", source=prepared, format="csv")
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
