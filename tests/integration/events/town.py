"""Two services over one bus: `orders` announces things, `mirror` writes down what it hears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import aio_pika
import asyncpg
import msgspec

from shared import bus as buses
from shared import db, migrate, outbox
from shared.bus import Bus
from shared.bus.dead import DeadLetter, open_dead_letters
from shared.bus.rabbitmq import EXCHANGE, dead_queue_of, queue_of
from shared.db import Conn, Database
from shared.events import Event, EventType, NewEvent
from shared.ids import uuid7
from shared.inbox import Consumer, Subscription
from shared.relay import Relay
from tests.harness import PATIENCE_SECONDS

SERVICES = ("orders", "mirror")


class Thing(msgspec.Struct, frozen=True):
    """The payload of the tests."""

    name: str


THING_MADE = EventType("thing.made", Thing, "A thing was made.", service="orders")
THING_UNHEARD = EventType("noise.made", Thing, "Nobody listens to this.", service="orders")


def a_thing(
    name: str = "", *, subject: UUID | None = None, sequence: int = 1, kind: EventType[Thing] = THING_MADE
) -> NewEvent:
    return kind.new(tenant_id=uuid7(), subject=subject or uuid7(), sequence=sequence, data=Thing(name))


async def note(conn: Conn, event: Event) -> None:
    """What `mirror` does with an event. There is no unique key: an effect that happens twice is seen."""
    await conn.execute(
        "insert into effects (event_id, subject, sequence, name) values ($1, $2, $3, $4)",
        event.id,
        event.subject,
        event.sequence,
        event.decode(Thing).name,
    )


NOTES = (Subscription("thing.*", note),)


class Town:
    """The pair of services. Start and stop their parts as a test needs."""

    def __init__(self, dsn: str, orders: Database, mirror: Database, bus_url: str) -> None:
        self.dsn = dsn
        self.orders = orders
        self.mirror = mirror
        self.bus_url = bus_url

    @asynccontextmanager
    async def running(self, subscriptions: Sequence[Subscription] = NOTES, *, relay: bool = True) -> AsyncIterator[Bus]:
        """Relay and consumer at work, as an app runs them; stopped in good order."""
        bus = buses.connect(self.bus_url)
        consumer = Consumer("mirror", self.mirror, subscriptions)
        bus.subscribe(consumer)
        stopping = asyncio.Event()
        work = [asyncio.create_task(bus.consume(consumer, stopping))]
        if relay:
            work.append(asyncio.create_task(Relay("orders", self.orders, bus).run(stopping)))
        try:
            yield bus
        finally:
            stopping.set()
            await asyncio.gather(*work)
            await bus.close()

    async def announce(self, *events: NewEvent) -> None:
        async with self.orders.transaction() as conn:
            await outbox.put(conn, *events)

    async def effects(self) -> list[asyncpg.Record]:
        """In the order in which they happened."""
        async with self.mirror.connection() as conn:
            return await conn.fetch("select event_id, subject, sequence, name from effects order by id")

    async def names(self) -> list[str]:
        return [row["name"] for row in await self.effects()]

    async def heard(self, count: int) -> None:
        """Wait until so many effects are there."""

        async def enough() -> bool:
            return len(await self.effects()) >= count

        await until(enough)

    async def sent(self) -> None:
        """Wait until the outbox is empty."""

        async def empty() -> bool:
            async with self.orders.connection() as conn:
                return not await conn.fetchval("select exists (select from outbox)")

        await until(empty)

    async def dead(self) -> list[DeadLetter]:
        async with open_dead_letters(self.bus_url, {"mirror": self.mirror}) as letters:
            return await letters.all("mirror", limit=100)

    async def requeue(self, *event_ids: str) -> int:
        async with open_dead_letters(self.bus_url, {"mirror": self.mirror}) as letters:
            return await letters.requeue("mirror", event_ids or None)

    async def died(self, count: int) -> list[DeadLetter]:
        """Wait until so many events are dead."""

        async def enough() -> bool:
            return len(await self.dead()) >= count

        await until(enough)
        return await self.dead()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for what must come; fails when it does not."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is a row of a database
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_town(postgres_url: str, bus_url: str, empty: Path, *, name: str) -> AsyncIterator[Town]:
    """A town in a database of its own, with empty queues."""
    dsn = await _create_database(postgres_url, name)
    await asyncio.to_thread(migrate.apply, dsn, dict.fromkeys(SERVICES, empty), {})
    orders, mirror = [await open_database(dsn, service) for service in SERVICES]
    async with orders.connection() as conn:
        await conn.execute("create table made (event_id uuid)")
    async with mirror.connection() as conn:
        await conn.execute(
            "create table effects (id bigint generated always as identity, event_id uuid, subject uuid,"
            " sequence bigint, name text)"
        )
    try:
        yield Town(dsn, orders, mirror, bus_url)
    finally:
        await asyncio.gather(orders.close(), mirror.close())
        await forget_queues(bus_url)


async def open_database(dsn: str, service: str) -> Database:
    return await db.connect(dsn, service=service, role=None, pool_size=10, statement_timeout_seconds=30)


async def _create_database(postgres_url: str, name: str) -> str:
    conn = await asyncpg.connect(postgres_url)
    await conn.execute(f'create database "{name}"')
    await conn.close()
    return postgres_url.rpartition("/")[0] + f"/{name}"


async def forget_queues(bus_url: str) -> None:
    """Leave the broker as it was for the next test."""
    if bus_url.startswith("local:"):
        return
    async with await aio_pika.connect(bus_url) as connection:
        for queue in (queue_of("mirror"), dead_queue_of("mirror")):
            with suppress(aio_pika.exceptions.ChannelClosed):
                await (await connection.channel()).queue_delete(queue)
        await (await connection.channel()).exchange_delete(EXCHANGE)
