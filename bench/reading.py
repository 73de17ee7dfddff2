"""get, list, list-growth, cursor-depth: reading invoices, against an aiohttp handler that returns the same bytes."""

import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec

from bench import bulk
from bench.creating import body
from bench.load import drive, request
from bench.rows import ROUNDS, Row, median
from bench.stage import ROOT, Stage, ready, stage
from shared.processes import free_port

SECONDS = 2.0
CONNECTIONS = 64
FEW = 1_000
MANY = 1_000_000
DEPTH = 500_000
LIST = "/v1/invoices?status=pending&per_page=25"
FIRST = "/v1/invoices?limit=25"
KEEP_NONE = "0"
"""Bytes for kept answers, so that each invoice is read as if for the first time."""

Reads = tuple[Stage, list[str]]


async def get() -> list[Row]:
    """1,000 invoices in turn, each with its three lines."""
    async with stage() as running, stage(ARPILOT_INVOICES_ANSWERS_BYTES=KEEP_NONE) as forgetful:
        paths = [f"/v1/invoices/{invoice_id}" for invoice_id in await _ids(running)]
        first = [f"/v1/invoices/{invoice_id}" for invoice_id in await _ids(forgetful)]
        return [await _against_bare("get", 0.4, (running, paths), (forgetful, first))]


async def list_() -> list[Row]:
    """25 of 1,000 invoices with the exact total."""
    async with stage() as running, stage(ARPILOT_INVOICES_ANSWERS_BYTES=KEEP_NONE) as forgetful:
        await fill(running, FEW)
        await fill(forgetful, FEW)
        return [await _against_bare("list", 0.2, (running, [LIST]), (forgetful, [LIST]))]


async def large() -> list[Row]:
    """The first page and total at 1,000,000 invoices against 1,000; the page after 500,000 against the first."""
    async with stage() as running, stage() as grown:
        await fill(running, FEW)
        await fill(grown, MANY)
        await settle(grown)
        return [await _growth(running, grown), await _depth(grown)]


async def fill(running: Stage, count: int) -> str:
    """So many invoices of the first tenant; the id of the one that the others are copies of."""
    tenant = running.tenants[0]
    url, headers = f"{running.base_url}/v1/invoices", {"Authorization": f"Bearer {tenant.key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, data=body(tenant)) as response:
        assert response.status == 201, await response.text()
        template = str((await response.json())["data"]["id"])
    conn = await running.connect()
    await bulk.multiply(conn, template, 1, count - 1)
    await conn.close()
    return template


async def settle(running: Stage) -> None:
    """Let vacuum and a checkpoint pass that would otherwise come in the middle of a measurement."""
    conn = await running.connect()
    await conn.execute("vacuum analyze invoices.invoices")
    await conn.execute("checkpoint")
    await conn.close()


async def _ids(running: Stage) -> list[str]:
    """The ids of 1,000 invoices."""
    await fill(running, FEW)
    conn = await running.connect()
    rows = await conn.fetch("select id from invoices.invoices")
    await conn.close()
    return [str(row["id"]) for row in rows]


async def _against_bare(name: str, goal: float, known: Reads, first: Reads) -> Row:
    """The app reading what it has read before, and, said beside it, reading everything for the first time."""
    answer = await _fetch(known[0], known[1][0])
    async with bare(answer) as base_url:
        await _rate(known)  # warm
        await _rate(first)
        rates = []
        for _ in range(ROUNDS):
            limit = await rate(base_url, known[1], "")
            rates.append((await _rate(known), await _rate(first), limit))
    again, once, limit = (median([one[i] for one in rates]) for i in range(3))
    detail = f"{again:.0f}/s, for the first time {once:.0f}/s, against {limit:.0f}/s, {len(answer)} bytes"
    return Row(name, goal, median([a / b for a, _, b in rates]), at_least=True, detail=detail)


async def _rate(reads: Reads) -> float:
    running, paths = reads
    return await rate(running.base_url, paths, running.tenants[0].key)


async def rate(base_url: str, paths: list[str], key: str) -> float:
    """Answers per second, the paths in turn."""
    messages = [request("GET", path, key=key) for path in paths]
    load = await drive(
        base_url, lambda number: messages[number % len(messages)], connections=CONNECTIONS, seconds=SECONDS
    )
    assert not load.bad, f"{load.bad} refused"
    return load.per_second


async def _latency(running: Stage, path: str) -> float:
    """The median, in milliseconds, of one client's requests."""
    message = request("GET", path, key=running.tenants[0].key)
    load = await drive(running.base_url, lambda _: message, connections=1, seconds=SECONDS)
    assert not load.bad, f"{load.bad} refused"
    return load.percentile(0.5)


async def _growth(few: Stage, many: Stage) -> Row:
    total = json.loads(await _fetch(many, LIST))["pagination"]["total"]
    pairs = [(await _latency(few, LIST), await _latency(many, LIST)) for _ in range(ROUNDS + 1)][1:]
    detail = f"{median([b for _, b in pairs]):.2f} ms, total {total}, against {median([a for a, _ in pairs]):.2f} ms"
    return Row("list-growth", 2, median([b / a for a, b in pairs]), at_least=False, detail=detail)


async def _depth(running: Stage) -> Row:
    path = await _page_after(running, DEPTH)
    deep = json.loads(await _fetch(running, path))
    assert len(deep["data"]) == 25, deep
    pairs = [(await _latency(running, FIRST), await _latency(running, path)) for _ in range(ROUNDS + 1)][1:]
    detail = f"{median([b for _, b in pairs]):.2f} ms against {median([a for a, _ in pairs]):.2f} ms"
    return Row("cursor-depth", 1.3, median([b / a for a, b in pairs]), at_least=False, detail=detail)


async def _page_after(running: Stage, rows: int) -> str:
    """The path of the page after so many rows, by a cursor as the API would have given it."""
    conn = await running.connect()
    found = await conn.fetchrow(
        "select created_at, id from invoices.invoices order by created_at desc, id desc offset $1 limit 1", rows - 1
    )
    await conn.close()
    assert found is not None
    return f"{FIRST}&after={cursor(found['created_at'], found['id'])}"


def cursor(created_at: datetime, row_id: UUID) -> str:
    """What `end_cursor` is for a row in the default order."""
    packed = msgspec.msgpack.encode(["created_at", created_at, row_id])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


async def _fetch(running: Stage, path: str) -> bytes:
    headers = {"Authorization": f"Bearer {running.tenants[0].key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(running.base_url + path) as response:
        assert response.status == 200, await response.text()
        return await response.read()


@asynccontextmanager
async def bare(answer: bytes) -> AsyncIterator[str]:
    """The bare handler in a process of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="arpilot-bench-") as directory:
        file = Path(directory, "answer")
        file.write_bytes(answer)  # noqa: ASYNC240  nothing else runs here meanwhile
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.bare", str(port), str(file), cwd=ROOT
        )
        try:
            await ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            await process.wait()
