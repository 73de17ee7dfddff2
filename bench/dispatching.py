"""dispatch, dispatch-dead, chain: webhooks, against an HTTP client that does nothing but post."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp

from bench.rows import ROUNDS, Row, median
from bench.stage import ROOT, Stage, known_to_the_planner, stage
from shared.clock import now
from shared.ids import uuid7
from shared.processes import free_port

ENDPOINTS = 50
DEAD = 10
DELIVERIES = 20_000
CONNECTIONS = 128
PATIENCE_SECONDS = 60
CHAIN_PER_SECOND = 200
CHAIN_SECONDS = 10
DATA = {"id": "00000000-0000-0000-0000-000000000000", "memo": "y" * 900}


class Sink:
    """The receiver."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def stats(self, path: str = "/stats") -> dict[str, Any]:
        """What has come since the last reset."""
        async with self.session.get(self.url + path) as response:
            found: dict[str, Any] = json.loads(await response.read())
            return found

    async def rate_of(self, count: int) -> float:
        """Wait until so many have come; how many that was a second."""
        stats = await self.stats()
        for _ in range(PATIENCE_SECONDS * 10):
            if stats["count"] >= count:
                break
            await asyncio.sleep(0.1)
            stats = await self.stats()
        assert stats["count"] >= count, f"{stats['count']} of {count} have come"
        return float(count / (stats["last"] - stats["first"]))


@asynccontextmanager
async def a_sink() -> AsyncIterator[Sink]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.sink", str(port), cwd=ROOT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        sink = Sink(session, f"http://127.0.0.1:{port}")
        try:
            await _answers(sink)
            yield sink
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
            assert code == -signal.SIGKILL, f"the sink ended by itself with {code}"


async def _answers(sink: Sink) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await sink.stats()
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
            else:
                return


async def register(running: Stage, sink: Sink, paths: list[str]) -> list[UUID]:
    """An endpoint for each path, all of the first tenant."""
    headers = {"Authorization": f"Bearer {running.tenants[0].key}"}
    made = []
    for path in paths:
        body = {"url": sink.url + path, "events": ["invoice.created"]}
        async with sink.session.post(f"{running.base_url}/v1/webhooks", json=body, headers=headers) as response:
            made.append(UUID((await response.json())["data"]["id"]))
    return made


async def enqueue(running: Stage, endpoints: list[UUID], count: int) -> None:
    """Store deliveries as intake does, all at once, while the endpoints are paused; then let the dispatcher go."""
    tenant, at = UUID(running.tenants[0].tenant_id), now()
    events = [uuid7() for _ in range(count // len(endpoints))]
    keys = [(tenant, endpoint, event) for event in events for endpoint in endpoints]
    each = [at + timedelta(microseconds=number) for number in range(len(keys))]  # each row has an instant of its own
    conn = await running.connect()
    await conn.execute("set search_path = webhooks")
    await conn.execute("delete from health")
    pause = "insert into health select tenant_id, id, 0, null, null, null, 0, $1 from endpoints"
    await conn.execute(pause, at.replace(year=at.year + 1))
    await conn.copy_records_to_table(
        "events", records=[(tenant, event, "invoice.created", event, 1, at, _payload(event), None) for event in events]
    )
    await conn.copy_records_to_table(
        "deliveries", records=[(*key, uuid7(), "invoice.created", "pending", 0, at, at) for key in keys]
    )
    await conn.copy_records_to_table(
        "queue",
        records=[(*key, False, 0, due, False, key[2], 1, None, None) for due, key in zip(each, keys, strict=True)],
    )
    await known_to_the_planner(running)
    await conn.execute("update health set paused_until = null")
    await conn.close()


def _payload(event: UUID) -> str:
    return json.dumps({"id": str(event), "type": "invoice.created", "timestamp": now().isoformat(), "data": DATA})


async def plain_posts(sink: Sink, count: int) -> float:
    """The limit: aiohttp's client posting the same bodies."""
    await sink.stats("/reset")
    body, left = _payload(uuid7()).encode(), count
    headers = {"content-type": "application/json"}

    async def line() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with sink.session.post(f"{sink.url}/plain", data=body, headers=headers) as response:
                await response.read()

    await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
    return await sink.rate_of(count)


async def dispatched(running: Stage, sink: Sink, endpoints: list[UUID], healthy: int) -> float:
    """Deliveries per second to the endpoints that answer, which come first in the list."""
    await sink.stats("/reset")
    count = DELIVERIES // len(endpoints) * len(endpoints)
    await enqueue(running, endpoints, count)
    return await sink.rate_of(count // len(endpoints) * healthy)


async def dispatch() -> list[Row]:
    """50 endpoints, all well."""
    async with a_sink() as sink, stage(ARPILOT_WEBHOOKS_ALLOW_INSECURE="true") as running:
        endpoints = await register(running, sink, [f"/{number}" for number in range(ENDPOINTS)])
        rates, limits = [], []
        for _ in range(ROUNDS):
            limits.append(await plain_posts(sink, DELIVERIES))
            rates.append(await dispatched(running, sink, endpoints, ENDPOINTS))
        ratio = median([rate / limit for rate, limit in zip(rates, limits, strict=True)])
        detail = f"{median(rates):.0f}/s against {median(limits):.0f}/s"
        return [Row("dispatch", 1.0, ratio, at_least=True, detail=detail)]


async def dispatch_dead() -> list[Row]:
    """The same 40 healthy endpoints, without and with 10 more that hang until the timeout."""
    async with a_sink() as sink, stage(ARPILOT_WEBHOOKS_ALLOW_INSECURE="true") as running:
        healthy = await register(running, sink, [f"/{number}" for number in range(ENDPOINTS - DEAD)])
        dead = await register(running, sink, [f"/hang/{number}" for number in range(DEAD)])
        rates, limits = [], []
        for _ in range(ROUNDS):
            limits.append(await dispatched(running, sink, healthy, len(healthy)))
            rates.append(await dispatched(running, sink, healthy + dead, len(healthy)))
            await _forget(running)
        ratio = median([rate / limit for rate, limit in zip(rates, limits, strict=True)])
        detail = f"{median(rates):.0f}/s against {median(limits):.0f}/s"
        return [Row("dispatch-dead", 0.9, ratio, at_least=True, detail=detail)]


async def _forget(running: Stage) -> None:
    """What the dead endpoints have not taken."""
    conn = await running.connect()
    await conn.execute("delete from webhooks.queue")
    await conn.close()


async def chain() -> list[Row]:
    """From `POST /v1/invoices` to the signed webhook, 200 a second."""
    async with a_sink() as sink, stage(ARPILOT_WEBHOOKS_ALLOW_INSECURE="true") as running:
        await register(running, sink, ["/chain"])
        await _invoices(running, seconds=2)
        await known_to_the_planner(running)
        await sink.stats("/reset")
        made = await _invoices(running, seconds=CHAIN_SECONDS)
        await sink.rate_of(made)
        latencies = sorted(1000 * latency for latency in (await sink.stats())["latencies"])
    detail = f"{made} invoices at {CHAIN_PER_SECOND}/s"
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    return [
        Row("chain p50", 15, p50, at_least=False, unit="ms", detail=detail),
        Row("chain p99", 100, p99, at_least=False, unit="ms", detail=detail),
    ]


async def _invoices(running: Stage, *, seconds: int) -> int:
    """Make invoices at a steady pace; how many."""
    count = CHAIN_PER_SECOND * seconds
    headers = {"Authorization": f"Bearer {running.tenants[0].key}"}
    async with aiohttp.ClientSession(running.base_url, headers=headers) as session, asyncio.TaskGroup() as tasks:
        started = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / CHAIN_PER_SECOND - time.perf_counter()))
            tasks.create_task(_invoice(session, running.tenants[0].customer_id))
    return count


async def _invoice(session: aiohttp.ClientSession, customer_id: str) -> None:
    body = {"customer_id": customer_id, "amount": 100, "memo": f"sent at {time.time():.6f}"}
    async with session.post("/v1/invoices", json=body) as response:
        assert response.status == 201, await response.text()
