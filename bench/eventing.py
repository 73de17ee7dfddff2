"""relay, lag, consume: events over RabbitMQ between two services of nothing but outbox and inbox."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import msgspec

from bench.rows import ROUNDS, Row, median
from shared import db, migrate, outbox
from shared.bus import Message, connect, rabbitmq
from shared.bus.rabbitmq import RabbitBus
from shared.db import Conn, Database
from shared.events import Event, EventType, NewEvent
from shared.inbox import Consumer, Subscription
from shared.relay import Relay
from shared.testing import servers

EVENTS = 10_000
PUBLISHED_AT_ONCE = 500
LAG_PER_SECOND = 200
LAG_SECONDS = 8
PATIENCE_SECONDS = 120
EXCHANGE = "arpilot.events"
QUEUE = "arpilot.mirror"


class Thing(msgspec.Struct):
    """As long as an invoice without lines."""

    id: UUID
    pad: str


MADE = EventType("thing.made", Thing, "A thing was made.", service="orders")


@dataclass
class Mirror:
    """The handler: writes one row for each event, and notes how long it was on its way."""

    wanted: int = 0
    handled: int = 0
    milliseconds: list[float] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, count: int) -> None:
        """Wait for so many from now on."""
        self.wanted, self.handled, self.milliseconds = count, 0, []
        self.done.clear()

    async def handle(self, conn: Conn, events: Sequence[Event]) -> None:
        """Have an effect."""
        at = time.time()
        self.milliseconds += [(at - event.time.timestamp()) * 1000 for event in events]
        await conn.execute("insert into seen select unnest($1::uuid[])", [event.id for event in events])
        self.handled += len(events)
        if self.handled >= self.wanted:
            self.done.set()


@dataclass
class House:
    """Two services with a RabbitMQ between them."""

    orders: Database
    mirror: Database
    bus: RabbitBus
    amqp_url: str
    handler: Mirror
    consumer: Consumer

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """The relay of the orders, at work."""
        stopping = asyncio.Event()
        task = asyncio.create_task(Relay("orders", self.orders, self.bus).run(stopping))
        yield
        stopping.set()
        await task

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        """The consumer of the mirror, at work."""
        stopping = asyncio.Event()
        task = asyncio.create_task(self.bus.consume(self.consumer, stopping))
        yield
        stopping.set()
        await task

    async def purge(self) -> None:
        """Forget what was published."""
        async with await aio_pika.connect(self.amqp_url) as connection:
            queue = await (await connection.channel()).get_queue(QUEUE)
            await queue.purge()


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """Both services on a durable PostgreSQL, and a quorum queue."""
    with servers.private_postgres() as postgres, servers.private_broker() as broker:
        with tempfile.TemporaryDirectory() as empty:
            folders = {"orders": Path(empty), "mirror": Path(empty)}
            await asyncio.to_thread(migrate.apply, postgres.url, folders, {})
        orders, mirror = await _database(postgres.url, "orders"), await _database(postgres.url, "mirror")
        async with mirror.connection() as conn:
            await conn.execute("create table seen (id uuid)")
        handler = Mirror()
        consumer = Consumer("mirror", mirror, [Subscription("*", handler.handle, batch=True)])
        await rabbitmq.declare(broker.url, {"mirror": ("*",)})
        bus = connect(broker.url)
        assert isinstance(bus, RabbitBus)
        bus.subscribe(consumer)
        yield House(orders, mirror, bus, broker.url, handler, consumer)
        await bus.close()
        await orders.close()
        await mirror.close()


async def _database(url: str, service: str) -> Database:
    return await db.connect(url, service=service, role=None, pool_size=10, statement_timeout_seconds=30)


def _event() -> NewEvent:
    return MADE.new(tenant_id=uuid4(), subject=uuid4(), sequence=1, data=Thing(uuid4(), "x" * 300))


def _rows(count: int) -> list[outbox.Row]:
    return [outbox.row(_event()) for _ in range(count)]


async def relay() -> list[Row]:
    """Events per second out of a full outbox until its last row is confirmed and removed."""
    async with house() as running:
        pairs = []
        for _ in range(ROUNDS):
            limit = await _minimal_publisher(running)
            pairs.append((await _relayed(running), limit))
    detail = f"{median([a for a, _ in pairs]):.0f}/s against {median([b for _, b in pairs]):.0f}/s"
    return [Row("relay", 0.8, median([a / b for a, b in pairs]), at_least=True, detail=detail)]


async def _minimal_publisher(running: House) -> float:
    """The limit: aio-pika with confirms gathered, and no database."""
    content = outbox.row(_event()).body.encode()
    async with await aio_pika.connect(running.amqp_url) as connection:
        exchange = await (await connection.channel()).get_exchange(EXCHANGE)
        started = time.perf_counter()
        for _ in range(EVENTS // PUBLISHED_AT_ONCE):
            await asyncio.gather(*(_publish(exchange, content) for _ in range(PUBLISHED_AT_ONCE)))
        rate = EVENTS / (time.perf_counter() - started)
    await running.purge()
    return rate


async def _publish(exchange: aio_pika.abc.AbstractExchange, content: bytes) -> None:
    persistent = aio_pika.DeliveryMode.PERSISTENT
    message = aio_pika.Message(content, message_id=str(uuid4()), delivery_mode=persistent)
    await exchange.publish(message, MADE.name)


async def _relayed(running: House) -> float:
    async with running.orders.connection() as conn:
        await conn.execute(outbox.INSERT, *outbox.columns(_rows(EVENTS)))
        await conn.execute("analyze outbox")
        async with asyncio.timeout(PATIENCE_SECONDS):
            started = time.perf_counter()
            async with running.relaying():
                while await conn.fetchval(  # noqa: ASYNC110  what is waited for is in the database
                    "select exists (select from outbox)"
                ):
                    await asyncio.sleep(0.01)
                rate = EVENTS / (time.perf_counter() - started)
    await running.purge()
    return rate


async def lag() -> list[Row]:
    """From the making of an event to the start of its handler, commit included, 200 a second."""
    async with house() as running, running.relaying(), running.consuming():
        for seconds in (1, LAG_SECONDS):  # the first warms
            running.handler.expect(seconds * LAG_PER_SECOND)
            await _announce(running.orders, seconds * LAG_PER_SECOND)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await running.handler.done.wait()
        milliseconds = sorted(running.handler.milliseconds)
    p50, p99 = milliseconds[len(milliseconds) // 2], milliseconds[len(milliseconds) * 99 // 100]
    detail = f"p99 of {len(milliseconds)} events; p50 {p50:.2f} ms"
    return [Row("lag", 15, p99, at_least=False, unit="ms", detail=detail)]


async def _announce(database: Database, count: int) -> None:
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / LAG_PER_SECOND - time.perf_counter()))
            tasks.create_task(_announce_one(database))


async def _announce_one(database: Database) -> None:
    async with database.transaction() as conn:
        await outbox.put(conn, _event())


async def consume() -> list[Row]:
    """Events per second with the inbox, against a transaction for each event."""
    async with house() as running:
        pairs = []
        for _ in range(ROUNDS):
            limit = await _one_by_one(running)
            pairs.append((await _consumed(running), limit))
    detail = f"{median([a for a, _ in pairs]):.0f}/s against {median([b for _, b in pairs]):.0f}/s"
    return [Row("consume", 3, median([a / b for a, b in pairs]), at_least=True, detail=detail)]


async def _fill(running: House, count: int) -> None:
    async with running.bus.publisher() as publisher:
        for _ in range(count // PUBLISHED_AT_ONCE):
            messages = [Message(row.event_id, row.type, row.body) for row in _rows(PUBLISHED_AT_ONCE)]
            await publisher.publish(messages)


async def _consumed(running: House) -> float:
    await _fill(running, EVENTS)
    running.handler.expect(EVENTS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        started = time.perf_counter()
        async with running.consuming():
            await running.handler.done.wait()
            return EVENTS / (time.perf_counter() - started)


async def _one_by_one(running: House) -> float:
    """The limit: a plain aio-pika consumer, which handles and acknowledges each event for itself."""
    count = max(EVENTS // 5, PUBLISHED_AT_ONCE)
    await _fill(running, count)
    async with running.mirror.connection() as conn, await aio_pika.connect(running.amqp_url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=100)
        queue = await channel.get_queue(QUEUE)
        started, left = time.perf_counter(), count
        async with asyncio.timeout(PATIENCE_SECONDS), queue.iterator() as messages:
            async for message in messages:
                await _handle_one(conn, message)
                left -= 1
                if not left:
                    break
        return count / (time.perf_counter() - started)


async def _handle_one(conn: Conn, message: aio_pika.abc.AbstractIncomingMessage) -> None:
    assert message.message_id
    event_id = UUID(message.message_id)
    try:
        async with conn.transaction():
            await conn.execute("insert into inbox (event_id) values ($1)", event_id)
            await conn.execute("insert into seen values ($1)", event_id)
    except asyncpg.UniqueViolationError:
        pass  # a duplicate has had its effect
    await message.ack()
