"""Twice as much as a service can bear: it says so quickly, goes on with what it accepts, stays small, and recovers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import pytest_asyncio

from shared.identity import admin
from shared.identity.scopes import AREAS
from tests.faults.chaos import LONG, say
from tests.harness import Client
from tests.processes import Process, arpilot, environment

MAX_REQUESTS = 32
MEASURED_SECONDS = 3.0
FLOOD_SECONDS = 60.0 if LONG else 8.0
RECOVERY_SECONDS = 10.0
ANSWER_SECONDS = 10.0
"""Generous: an accepted request waits behind at most `MAX_REQUESTS` others."""
MEGABYTE = 1 << 20
GROWTH_BYTES = 100 * MEGABYTE
"""More than 32 requests with their answers take, and much less than all of the flood would."""


@dataclass
class Flood:
    """What came of many requests."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)
    without_advice: int = 0

    def note(self, status: int, seconds: float, retry_after: str | None) -> None:
        self.answers[status] += 1
        self.seconds.setdefault(status, []).append(seconds)
        self.without_advice += status in (429, 503) and not retry_after


@dataclass
class Door:
    """One process of customers, and a client at its door."""

    process: Process
    client: Client
    made: int = 0

    async def create(self, flood: Flood) -> None:
        self.made += 1
        contact = {"contact_name": "Ada", "email": "ada@example.com"}
        body = {"company_name": f"Customer {self.made}", "contacts": [contact]}
        began = time.monotonic()
        answer = await self.client.post("/v1/customers", json=body)
        flood.note(answer.status, time.monotonic() - began, answer.headers.get("Retry-After"))

    async def closed_loop(self, seconds: float, *, workers: int) -> Flood:
        """As much as it can bear: each worker sends the next request once the last one is answered."""
        flood, until = Flood(), time.monotonic() + seconds

        async def work() -> None:
            while time.monotonic() < until:
                await self.create(flood)

        await asyncio.gather(*(work() for _ in range(workers)))
        return flood

    async def open_loop(self, seconds: float, *, per_second: float) -> Flood:
        """So many a second, whether they are answered or not, as the world sends them."""
        flood, began = Flood(), time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number in range(int(seconds * per_second)):
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                requests.create_task(self.create(flood))
        return flood


@pytest_asyncio.fixture
async def door(database_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    environ = environment(database_url, "local:", tmp_path) | {
        "ARPILOT_MAX_REQUESTS": str(MAX_REQUESTS),
        "ARPILOT_RATE_LIMIT_ENTERPRISE": "100000",
    }
    await asyncio.to_thread(arpilot, environ, "migrate")
    conn = await asyncpg.connect(database_url)
    tenant_id = await admin.create_tenant(
        conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD", email="o@example.com"
    )
    key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    assert key is not None
    await conn.close()
    process = Process("customers", environ, tmp_path / "customers.log")
    await asyncio.to_thread(process.start)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Door(process, Client(f"http://127.0.0.1:{process.port}", key, tenant_id, session))
    process.kill()


async def test_at_twice_its_rate_it_turns_away_quickly_stays_small_and_recovers_by_itself(door: Door) -> None:
    borne = await door.closed_loop(MEASURED_SECONDS, workers=MAX_REQUESTS)
    before = door.process.most_bytes

    flood = await door.open_loop(FLOOD_SECONDS, per_second=2 * borne.answers[201] / MEASURED_SECONDS)
    after = door.process.most_bytes
    recovered = await _recovery(door)
    say(f"bearable {dict(borne.answers)}, twice that {dict(flood.answers)}; recovered after {recovered:.1f} s")

    assert set(borne.answers) == {201}
    assert set(flood.answers) == {201, 503}, flood.answers
    assert flood.without_advice == 0
    assert flood.answers[201] > borne.answers[201] / 2
    assert max(flood.seconds[503]) < ANSWER_SECONDS
    assert max(flood.seconds[201]) < ANSWER_SECONDS
    assert after - before < GROWTH_BYTES
    assert recovered < RECOVERY_SECONDS


async def _recovery(door: Door) -> float:
    """Seconds until a client with a few requests at a time is served as before."""
    began = time.monotonic()
    while True:
        calm = await door.closed_loop(0.5, workers=4)
        if set(calm.answers) == {201}:
            return time.monotonic() - began
        assert time.monotonic() - began < RECOVERY_SECONDS, calm.answers
