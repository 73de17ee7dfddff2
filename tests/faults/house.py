"""All that can be broken: two replicas of each service, PostgreSQL, RabbitMQ, a receiver, and the network between."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from services import catalog
from shared.processes import StartError
from shared.testing.servers import Broker, Server
from tests.faults.business import Tenant
from tests.faults.proxy import Address, Proxy, proxying
from tests.processes import Process, environment

REPLICAS = 2
STATEMENT_SECONDS = 3
HEARTBEAT_SECONDS = 2
SETTINGS = {
    "ARPILOT_RATE_LIMIT_ENTERPRISE": "100000",
    "ARPILOT_WEBHOOKS_ALLOW_INSECURE": "true",
    **{f"ARPILOT_{name.upper()}_STATEMENT_TIMEOUT_SECONDS": str(STATEMENT_SECONDS) for name in catalog.NAMES},
    **{f"ARPILOT_{name.upper()}_POOL_SIZE": "6" for name in catalog.NAMES},
}


@dataclass
class Replica:
    """A process, the ways it takes to PostgreSQL and RabbitMQ, and the clock that it sees."""

    process: Process
    database: Proxy
    bus: Proxy
    clock: Path

    @property
    def port(self) -> int:
        return self.process.port


@dataclass
class House:
    """Everything, in reach of those who break it."""

    postgres: Server
    brokers: Sequence[Broker]
    dice: random.Random
    environ: Mapping[str, str] = field(default_factory=dict)
    """The settings of an operator's commands, past all proxies."""
    services: dict[str, list[Replica]] = field(default_factory=dict)
    ways: dict[str, Proxy] = field(default_factory=dict)
    """The way to each service over internal HTTP, and to the receiver of webhooks."""
    tenants: list[Tenant] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    """Ids of messages that must be dead letters in the end."""
    thrown_away: set[str] = field(default_factory=set)
    """Those of them that were waiting in a queue, perhaps, when an operator deleted it."""
    bulk: int = 1000
    """How many invoices a bulk call makes in the middle of which somebody dies."""

    @property
    def replicas(self) -> list[Replica]:
        return [replica for replicas in self.services.values() for replica in replicas]

    @property
    def broker(self) -> Broker:
        return self.brokers[0]

    @asynccontextmanager
    async def owner(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """The database as its owner, past all proxies."""
        conn = await asyncpg.connect(self.postgres.url, timeout=60)
        try:
            yield conn
        finally:
            conn.terminate()

    def kill(self, *replicas: Replica) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        for replica in replicas:
            replica.process.kill()

    def launch(self, *replicas: Replica) -> None:
        for replica in replicas:
            replica.process.launch()

    async def ready(self, *services: str) -> None:
        """These services, or all, are up and able to work."""
        for name in services or self.services:
            for replica in self.services[name]:
                await asyncio.to_thread(replica.process.wait_ready)

    def heal(self) -> None:
        """The network is as it should be."""
        for replica in self.replicas:
            replica.database.heal()
            replica.bus.heal()
        for way in self.ways.values():
            way.heal()


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float, every_seconds: float = 0.02) -> bool:
    """Whether this came true in time."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110  what is waited for happens in other processes
                await asyncio.sleep(every_seconds)
    except TimeoutError:
        return False
    return True


@asynccontextmanager
async def built(house: House, directory: Path, receiver: Address) -> AsyncIterator[House]:
    """The house with all its services running."""
    async with AsyncExitStack() as stack:
        for name in catalog.NAMES:
            replicas = [await _replica(stack, house, name, number, directory) for number in range(REPLICAS)]
            house.services[name] = replicas
            house.ways[name] = await stack.enter_async_context(
                proxying(*(("127.0.0.1", replica.port) for replica in replicas))
            )
        house.ways["receiver"] = await stack.enter_async_context(proxying(receiver))
        for replica in house.replicas:
            replica.process.meet({name: house.ways[name] for name in catalog.NAMES})
            stack.callback(replica.process.kill)
            replica.process.launch()
        await house.ready()
        yield house


async def _replica(stack: AsyncExitStack, house: House, name: str, number: int, directory: Path) -> Replica:
    database = await stack.enter_async_context(proxying(address_of(house.postgres.url)))
    bus = await stack.enter_async_context(proxying(*(address_of(broker.url) for broker in house.brokers)))
    clock = directory / f"{name}-{number}.clock"
    clock.write_text("+0")
    environ = environment(by_way_of(database, house.postgres.url), by_way_of(bus, house.broker.url), directory)
    environ["ARPILOT_BUS_URL"] += f"?heartbeat={HEARTBEAT_SECONDS}"
    process = Process(name, {**environ, **SETTINGS, **faked(clock)}, directory / f"{name}-{number}.log")
    return Replica(process, database, bus, clock)


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def by_way_of(proxy: Proxy, url: str) -> str:
    """The same URL through a proxy."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}"))


def faked(clock: Path) -> dict[str, str]:
    """Settings under which a process sees the time of day of a file; `time.monotonic` stays what it is."""
    places = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not places:
        raise StartError("The tests of jumping clocks need libfaketime: `apt-get install libfaketime`.")
    return {
        "LD_PRELOAD": str(places[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
