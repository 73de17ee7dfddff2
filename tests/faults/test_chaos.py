"""Business goes on while services, PostgreSQL and RabbitMQ are killed at random moments; then everything must add up.

`ARPILOT_FAULTS_SEED` repeats the order of faults and of business; `ARPILOT_FAULTS_LONG=1` goes on for `SECONDS_EACH`
seconds (by default half an hour) in place of one round of each fault.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from services import catalog
from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.testing.servers import Server, private_broker, private_postgres
from tests import harness
from tests.faults import truth
from tests.faults.business import Tenant
from tests.harness import Client
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.processes import Process, arpilot, environment, processes

TENANTS = 3
WORKERS_EACH = 2
QUIET_SECONDS = 60.0
LONG_SECONDS = 1800.0
POSTGRES, BROKER = "postgres", "rabbitmq"


@dataclass
class House:
    """All that can be broken."""

    services: dict[str, Process]
    servers: dict[str, Server]
    dice: random.Random
    faults: Counter[str] = field(default_factory=Counter)

    async def break_one(self, name: str) -> None:
        """Kill it in the middle of whatever it does, leave it dead for a moment, and start it again."""
        self.faults[name] += 1
        if name in self.servers:
            await asyncio.to_thread(self.servers[name].kill)
            await asyncio.sleep(self.dice.uniform(0, 1))
            await asyncio.to_thread(self.servers[name].start)
        else:
            await asyncio.to_thread(self.services[name].kill)
            await asyncio.sleep(self.dice.uniform(0, 0.5))
            await asyncio.to_thread(self.services[name].launch)

    async def break_all(self, until: float) -> None:
        """One round of each fault in random order, and further rounds until it is time."""
        while True:
            for name in self.dice.sample([*self.services, *self.services, *self.servers], 2 * len(self.services) + 2):
                await asyncio.sleep(self.dice.uniform(0.5, 2))
                await self.break_one(name)
            if time.monotonic() > until:
                return

    async def recover(self) -> None:
        """Everything is up again."""
        await asyncio.gather(*(asyncio.to_thread(process.wait_ready) for process in self.services.values()))


@pytest.fixture
def seed() -> int:
    """What decides everything that is random here."""
    seed = int(os.environ.get("ARPILOT_FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    print(f"ARPILOT_FAULTS_SEED={seed}")  # noqa: T201  a failure is repeated with it
    return seed


@pytest.fixture
def servers() -> Iterator[dict[str, Server]]:
    """A PostgreSQL and a RabbitMQ that nobody else uses."""
    with private_postgres() as postgres, private_broker() as broker:
        yield {POSTGRES: postgres, BROKER: broker}


async def tenants(database_url: str, house: House, receiver: Receiver, session: aiohttp.ClientSession) -> list[Tenant]:
    """Tenants who hear of everything by webhook."""
    ports = {name: process.port for name, process in house.services.items()}
    conn = await asyncpg.connect(database_url)
    try:
        made = [await a_tenant(conn, ports, house.dice, session) for _ in range(TENANTS)]
    finally:
        await conn.close()
    for number, tenant in enumerate(made):
        assert await tenant.order("/v1/webhooks", {"url": receiver.url(f"/{number}"), "events": ["*"]})
    return made


async def a_tenant(
    conn: "asyncpg.Connection[asyncpg.Record]",
    ports: dict[str, int],
    dice: random.Random,
    session: aiohttp.ClientSession,
) -> Tenant:
    tenant_id = await admin.create_tenant(
        conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD", email="o@example.com"
    )
    key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    assert key is not None
    return Tenant(Client("", key, tenant_id, session), ports, random.Random(dice.getrandbits(64)))


@asynccontextmanager
async def business(made: list[Tenant]) -> AsyncIterator[None]:
    """All tenants at work until the block ends; each then finishes what it has begun."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as work:
        for tenant in made * WORKERS_EACH:
            work.create_task(tenant.work(stopping))
        try:
            yield
        finally:
            stopping.set()


async def verdict(database_url: str, made: list[Tenant], receiver: Receiver) -> list[str]:
    """What is still wrong when nothing is on its way any more; what heals by itself has time for it."""
    deadline = time.monotonic() + QUIET_SECONDS
    conn = await asyncpg.connect(database_url)
    try:
        while True:
            await asyncio.sleep(1)
            still = await truth.is_quiet(conn)
            found = await truth.findings(conn, made, receiver)
            if still and not found:
                return []
            if time.monotonic() > deadline:
                return found or ["something is on its way still"]
    finally:
        await conn.close()


async def test_whatever_is_killed_everything_accepted_is_done_once(
    seed: int, servers: dict[str, Server], tmp_path: Path
) -> None:
    dice = random.Random(seed)
    database_url = servers[POSTGRES].url
    environ = environment(database_url, servers[BROKER].url, tmp_path)
    environ |= {"ARPILOT_RATE_LIMIT_ENTERPRISE": "100000", "ARPILOT_WEBHOOKS_ALLOW_INSECURE": "true"}
    await asyncio.to_thread(arpilot, environ, "migrate")
    long = bool(os.environ.get("ARPILOT_FAULTS_LONG"))
    until = time.monotonic() + (float(os.environ.get("SECONDS_EACH") or LONG_SECONDS) if long else 0)
    with processes(environ, tmp_path) as services:
        house = House({name: services[name] for name in catalog.NAMES}, servers, dice)
        async with receiving() as receiver, aiohttp.ClientSession() as session:
            made = await tenants(database_url, house, receiver, session)
            async with business(made):
                await house.break_all(until)
                await house.recover()
            found = await verdict(database_url, made, receiver)
            await harness.verify_ledgers(database_url)
    outcomes = sum((tenant.outcomes for tenant in made), Counter[str]())
    print(f"faults {dict(house.faults)} operations {dict(outcomes)} posts {len(receiver.posts)}")  # noqa: T201
    assert not found, f"ARPILOT_FAULTS_SEED={seed}: {len(found)} findings: {found[:20]}"
    assert outcomes["accepted"] > 50
