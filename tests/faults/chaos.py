"""Business goes on while everything breaks that can; in the end everything must add up."""

import asyncio
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import cycle
from pathlib import Path

import aiohttp
import asyncpg

from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.testing.servers import Broker, cluster, private_broker, private_postgres
from tests import harness
from tests.faults import truth
from tests.faults.business import Tenant
from tests.faults.family import Family, Fault
from tests.faults.house import House, built
from tests.faults.truth import Heard
from tests.harness import Client
from tests.integration.webhooks.receiver import receiving
from tests.processes import arpilot, environment

LONG = bool(os.environ.get("ARPILOT_FAULTS_LONG"))
ONLY = re.compile(os.environ.get("ARPILOT_FAULTS_ONLY", ""))
LONG_SECONDS = float(os.environ.get("SECONDS_EACH") or 1800)
TENANTS = 3
WORKERS_EACH = 2
FAULT_SECONDS = 600.0
QUIET_SECONDS = 600.0 if LONG else 90.0

Families = Sequence[type[Family]]


async def chaos(families: Families, seed: int, directory: Path, *, seconds: float = 0) -> None:
    """One round of each fault in random order, and further rounds until the time is up.

    Every second round kills nobody, so that what a living process forgets is found. `ARPILOT_FAULTS_ONLY`, a
    regular expression, chooses among the faults while one of them is looked into.
    """
    async with a_house(seed, directory) as (house, heard):
        every = chosen([family(house) for family in families])
        harmless = chosen([family(house) for family in families if not family.kills])
        happened: Counter[str] = Counter()
        until = time.monotonic() + seconds
        for faults in cycle((every, harmless)):
            if happened and time.monotonic() > until:
                break
            async with business(house.tenants):
                for name in house.dice.sample(sorted(faults), len(faults)):
                    await asyncio.sleep(house.dice.uniform(0, 0.5))
                    say(f"{time.strftime('%H:%M:%S')} {name}")
                    async with asyncio.timeout(FAULT_SECONDS):
                        await faults[name]()
                    house.heal()
                    happened[name] += 1
                    heard.listen()
                await house.ready()
            found = await verdict(house, heard)
            report(house, happened, heard)
            assert not found, f"ARPILOT_FAULTS_SEED={seed}: {len(found)} findings: {summary(found)}"


def chosen(families: Sequence[Family]) -> Mapping[str, Fault]:
    """The faults of these families by name."""
    return {name: fault for family in families for name, fault in family.faults.items() if ONLY.search(name)}


@asynccontextmanager
async def a_house(seed: int, directory: Path) -> AsyncIterator[tuple[House, Heard]]:
    """Servers of its own, two replicas of each service, and tenants who hear of everything by webhook."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(private_postgres())
        brokers: tuple[Broker, ...] = stack.enter_context(cluster() if LONG else only_one())
        house = House(postgres, brokers, random.Random(seed))
        house.bulk = 10_000 if LONG else 1000
        house.environ = environment(postgres.url, house.broker.url, directory)
        await asyncio.to_thread(arpilot, house.environ, "migrate")
        async with house.owner() as conn:
            await truth.witness(conn)
        receiver = await stack.enter_async_context(receiving())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await stack.enter_async_context(built(house, directory, ("127.0.0.1", receiver.port)))
        await open_accounts(house, session)
        yield house, Heard(receiver)


async def open_accounts(house: House, session: aiohttp.ClientSession) -> None:
    async with house.owner() as conn:
        house.tenants = [await a_tenant(conn, house, session) for _ in range(TENANTS)]
    for number, tenant in enumerate(house.tenants):
        url = f"http://127.0.0.1:{house.ways['receiver'].port}/{number}"
        assert await tenant.order("/v1/webhooks", {"url": url, "events": ["*"]})
        await tenant.make_customer()


async def a_tenant(conn: "asyncpg.Connection[asyncpg.Record]", house: House, session: aiohttp.ClientSession) -> Tenant:
    tenant_id = await admin.create_tenant(
        conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD", email="o@example.com"
    )
    key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    assert key is not None
    return Tenant(Client("", key, tenant_id, session), house.services, random.Random(house.dice.getrandbits(64)))


@asynccontextmanager
async def business(tenants: Sequence[Tenant]) -> AsyncIterator[None]:
    """All tenants at work until the block ends; each then finishes what it has begun."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as work:
        for tenant in [*tenants] * WORKERS_EACH:
            work.create_task(tenant.work(stopping))
        try:
            yield
        finally:
            stopping.set()


async def verdict(house: House, heard: Heard) -> list[str]:
    """What is still wrong when nothing is on its way any more; what heals by itself has time for it."""
    deadline = time.monotonic() + QUIET_SECONDS
    async with house.owner() as conn:
        while True:
            await asyncio.sleep(1)
            waiting = await truth.waiting(conn)
            heard.listen()
            if waiting and time.monotonic() < deadline:
                continue
            found = waiting + await truth.findings(conn, house, heard)
            if not found:
                await harness.verify_ledgers(house.postgres.url)
                return []
            if time.monotonic() > deadline:
                return found


def report(house: House, happened: Counter[str], heard: Heard) -> None:
    """What was broken, and what was done meanwhile."""
    outcomes = sum((tenant.outcomes for tenant in house.tenants), Counter[str]())
    say(f"{happened.total()} faults: {dict(happened)}")
    say(f"{outcomes['accepted']} operations accepted: {dict(outcomes)}; {heard.per_event.total()} posts")
    assert outcomes["accepted"] > 50


def summary(found: Sequence[str]) -> list[str]:
    """A few findings of each kind."""
    kinds: dict[str, list[str]] = {}
    for one in found:
        kinds.setdefault(one.partition(":")[0], []).append(one)
    return [f"{len(some)} like {some[:3]}" for some in kinds.values()]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  what is needed to repeat a failure


@contextmanager
def only_one() -> Iterator[tuple[Broker, ...]]:
    with private_broker() as broker:
        yield (broker,)
