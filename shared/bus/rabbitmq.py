"""The bus on RabbitMQ: one durable topic exchange, one quorum queue and one queue of dead letters for each consumer.

Works with RabbitMQ 3.10 to 4.x; whatever their defaults differ in is said explicitly.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.common import Arguments
from yarl import URL

from shared import events
from shared.bus import PREFETCH_EVENTS, BusAway, Message, Outcome
from shared.bus.dead import headers_of
from shared.events import CONTENT_TYPE
from shared.inbox import BATCH_EVENTS, Consumer, Failure, reason_of
from shared.retry import pauses
from shared.stopping import cancel, pause, unless

log = structlog.get_logger(__name__)
# Each loss is raised to us, too, and said in one line; of the tracebacks only that the broker blocks us is news.
logging.getLogger("aiormq.connection").addFilter(lambda record: "blocked" in str(record.msg))

EXCHANGE = "arpilot.events"
DELIVERY_LIMIT = 20
"""Deliveries after which the broker itself gives a message up: one that kills its consumer each time."""
UNLIMITED = 2**31 - 1
"""Looking at dead letters delivers them; RabbitMQ 4 would drop them after 20 looks."""

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
CONNECT_SECONDS = 10
HEARTBEAT_SECONDS = 15
CONFIRM_SECONDS = 60.0
DECLARE_SECONDS = 30.0
"""A node that is losing or finding its place in a cluster may never answer; over another channel it does."""
CLOSE_SECONDS = 5.0
LOOK_SECONDS = 15.0
"""Between two looks whether the queue is there and knows its consumer: a cluster in trouble loses either in silence."""

LOST = (
    aiormq.exceptions.AMQPError,
    aiormq.exceptions.ChannelInvalidStateError,
    ConnectionError,
    OSError,
    BusAway,
)
"""The broker, or what was open to it, is gone; it has to be opened again."""


class QueueMissing(Exception):
    """There is no queue of this name."""


class Link:
    """One connection to the broker, made again whenever somebody needs it and it is gone."""

    def __init__(self, url: str, purpose: str) -> None:
        address = URL(url)
        self._url = address if "heartbeat" in address.query else address.update_query(heartbeat=HEARTBEAT_SECONDS)
        self._place = f"{address.host}:{address.port or DEFAULT_PORTS[address.scheme]}"
        self._purpose = purpose
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()
        self.away = False
        """Whether it is being tried in vain."""

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel with publisher confirms; waits for the broker for as long as it takes."""
        channel = await self._open()
        try:
            yield channel
        finally:
            await _close(channel)

    async def close(self) -> None:
        if self._connection is not None:
            await _close(self._connection)

    async def _open(self) -> AbstractChannel:
        connection = await self._connect()
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await channel.initialize()
        except (*LOST, RuntimeError) as error:  # a connection that closes at this moment raises RuntimeError
            await _close(connection)  # one that opens no channel is of no use, whatever it says of itself
            raise BusAway(reason_of(error)) from error
        return channel

    async def _connect(self) -> AbstractConnection:
        async with self._connecting:
            if self._connection is None or not self._connection.connected.is_set():
                await self.close()
                self._connection = await self._connect_at_last()
            return self._connection

    async def _connect_once(self) -> AbstractConnection:
        connection = aio_pika.Connection(self._url)
        try:
            await connection.connect(timeout=CONNECT_SECONDS)
        except BaseException as error:
            await connection.close()  # or its finalizer tries to, when there may be no event loop any more
            if isinstance(error, StopAsyncIteration):  # what aiormq says of a handshake that is broken off
                raise BusAway("the broker broke the handshake off") from error
            raise
        return connection

    async def _connect_at_last(self) -> AbstractConnection:
        """Try for ever; say once that the broker is away and once that it is back."""
        for seconds in pauses(first_seconds=0.1):
            try:
                connection = await self._connect_once()
            except LOST as error:
                if not self.away:
                    log.warning("RabbitMQ is away, trying again", place=self._place, reason=reason_of(error))
                self.away = True
                await asyncio.sleep(seconds)
            else:
                self.away = False
                log.info("connected to RabbitMQ", place=self._place, purpose=self._purpose)
                return connection
        raise AssertionError("pauses are endless")


class RabbitBus:
    """Two connections for a process: a broker that slows publishers down does so by connection."""

    def __init__(self, url: str) -> None:
        self._out = Link(url, "publish")
        self._in = Link(url, "consume")
        self._consumers: list[Consumer] = []

    @property
    def connected(self) -> bool:
        """A replica whose relay stands by and that consumes nothing needs no connection, so none is no fault."""
        return not (self._out.away or self._in.away)

    def subscribe(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator["RabbitPublisher"]:
        async with self._out.channel() as channel:
            try:
                async with asyncio.timeout(DECLARE_SECONDS):
                    await self._declare_all(channel)
                wire = await wire_of(channel)
            except LOST as error:
                raise BusAway(reason_of(error)) from error
            yield RabbitPublisher(wire)

    async def consume(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        """Consume until told to stop; a lost connection, channel or queue is made again."""
        waits = pauses(first_seconds=0.1)
        while not stopping.is_set():
            try:
                await self._consume_once(consumer, stopping)
                waits = pauses(first_seconds=0.1)
            except LOST as error:
                log.warning("the queue was lost, making it again", service=consumer.service, reason=reason_of(error))
                await pause(next(waits), stopping)
            except Exception:
                log.exception("consuming failed and begins again", service=consumer.service)
                await pause(next(waits), stopping)

    async def close(self) -> None:
        await asyncio.gather(self._in.close(), self._out.close())

    async def _consume_once(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            channel = await unless(stopping, stack.enter_async_context(self._in.channel()))
            if channel is not None:
                async with asyncio.timeout(DECLARE_SECONDS):
                    await channel.set_qos(prefetch_count=PREFETCH_EVENTS)
                    await declare_queue(channel, consumer.service, consumer.patterns)
                await _Intake(consumer, channel, await wire_of(channel)).run(stopping)

    async def _declare_all(self, channel: AbstractChannel) -> None:
        for consumer in self._consumers:
            await declare_queue(channel, consumer.service, consumer.patterns)


class RabbitPublisher:
    """Publishes over one channel, so the broker keeps the order.

    It works on the channel below aio-pika's, which spares a wait for the socket with each message: a third more
    events per second (docs/events.md).
    """

    def __init__(self, wire: aiormq.Channel) -> None:
        self._wire = wire

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Publish all and wait for all confirms; what a lost channel leaves open is UNKNOWN."""
        confirms = [asyncio.ensure_future(self._publish(message)) for message in messages]
        await asyncio.wait(confirms, timeout=CONFIRM_SECONDS)
        for late in confirms:
            late.cancel()
        return [_outcome(result) for result in await asyncio.gather(*confirms, return_exceptions=True)]

    async def _publish(self, message: Message) -> object:
        return await self._wire.basic_publish(
            message.body.encode(),
            exchange=EXCHANGE,
            routing_key=message.type,
            properties=_properties(message),
            mandatory=True,
            wait=False,
        )


def _properties(message: Message) -> Basic.Properties:
    return Basic.Properties(
        content_type=CONTENT_TYPE, delivery_mode=2, message_id=str(message.event_id), app_id="arpilot"
    )


def _outcome(result: object) -> Outcome:
    if isinstance(result, Basic.Ack):
        return Outcome.CONFIRMED
    if isinstance(result, aiormq.exceptions.DeliveryError):  # nacked, or returned because no queue wants it
        return Outcome.REFUSED
    return Outcome.UNKNOWN


class _Intake:
    """What one consumer receives over one channel, acknowledged batch by batch after the commit."""

    def __init__(self, consumer: Consumer, channel: AbstractChannel, wire: aiormq.Channel) -> None:
        self._consumer = consumer
        self._channel = channel
        self._wire = wire
        self._arrived: deque[DeliveredMessage] = deque()
        self._news = asyncio.Event()
        self._lost = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Handle what arrives until told to stop; raises one of LOST when the channel or the queue is gone."""
        self._channel.close_callbacks.add(self._lose)
        self._wire.on_consumer_cancel_callbacks.add(self._lose)
        async with asyncio.timeout(DECLARE_SECONDS):
            await self._wire.basic_consume(queue_of(self._consumer.service), self._arrive)
        watches = [asyncio.create_task(watch) for watch in (self._stop_on(stopping), self._look_after_queue())]
        try:
            while not stopping.is_set():
                await self._settle(await self._take())
        finally:
            await cancel(*watches)

    async def _arrive(self, message: DeliveredMessage) -> None:
        self._arrived.append(message)
        self._news.set()

    def _lose(self, *_: object) -> None:
        self._lost = True
        self._news.set()

    async def _stop_on(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._news.set()

    async def _look_after_queue(self) -> None:
        """Make the queue again when it is gone, and end this intake when the broker does not count it as a consumer."""
        known = True
        while known:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(DECLARE_SECONDS):
                    queue = await declare_queue(self._channel, self._consumer.service, self._consumer.patterns)
                known = bool(queue.declaration_result.consumer_count)
            except LOST:
                known = False
        self._lose()

    async def _take(self) -> list[DeliveredMessage]:
        """What is there, at most a batch; nothing when it is time to stop."""
        await self._news.wait()
        await self._consumer.rest(len(self._arrived))
        if self._lost:
            raise BusAway("the broker closed the channel or removed the queue")
        batch = [self._arrived.popleft() for _ in range(min(BATCH_EVENTS, len(self._arrived)))]
        if not self._arrived:
            self._news.clear()
        return batch

    async def _settle(self, batch: list[DeliveredMessage]) -> None:
        """Handle a batch, bury what failed, and only then acknowledge all of it."""
        if not batch:
            return
        readable = []
        for message in batch:
            try:
                readable.append(events.decode(message.body))
            except events.NotAnEvent as error:
                await self._bury(message.body, message_id=message.header.properties.message_id, reason=reason_of(error))
        for failure in await self._consumer.consume(readable):
            await self._bury_failure(failure)
        tag = batch[-1].delivery_tag
        assert tag is not None
        await self._wire.basic_ack(tag, multiple=True)

    async def _bury_failure(self, failure: Failure) -> None:
        body = failure.event.encode()
        await self._bury(body, message_id=str(failure.event.id), reason=failure.reason, attempts=failure.attempts)

    async def _bury(self, body: bytes, *, message_id: str | None, reason: str, attempts: int = 1) -> None:
        """Hand a message to the queue of dead letters; it is there for good when this returns."""
        properties = Basic.Properties(
            content_type=CONTENT_TYPE, delivery_mode=2, message_id=message_id, headers=headers_of(reason, attempts)
        )
        async with asyncio.timeout(CONFIRM_SECONDS):
            await self._wire.basic_publish(
                body, routing_key=dead_queue_of(self._consumer.service), properties=properties, mandatory=True
            )


def queue_of(service: str) -> str:
    return f"arpilot.{service}"


def dead_queue_of(service: str) -> str:
    return f"arpilot.{service}.dead"


async def wire_of(channel: AbstractChannel) -> aiormq.Channel:
    """The channel below aio-pika's."""
    wire = await channel.get_underlay_channel()
    assert isinstance(wire, aiormq.Channel)
    return wire


async def declare(url: str, patterns: Mapping[str, Sequence[str]]) -> None:
    """Make the queues of these services, so that what others announce before they first start is kept for them."""
    link = Link(url, "declare")
    try:
        async with link.channel() as channel:
            for service, names in patterns.items():
                await declare_queue(channel, service, names)
    finally:
        await link.close()


async def hand_over(url: str, service: str, batches: AsyncIterator[Sequence[Message]]) -> int:
    """Put messages into the queue of one service, past the exchange; they are there for good when this returns.

    Says how many. Raises QueueMissing.
    """
    link, sent = Link(url, "replay"), 0
    try:
        async with link.channel() as channel:
            wire = await wire_of(channel)
            async for messages in batches:
                await asyncio.gather(
                    *(
                        wire.basic_publish(
                            message.body.encode(),
                            routing_key=queue_of(service),
                            properties=_properties(message),
                            mandatory=True,
                        )
                        for message in messages
                    )
                )
                sent += len(messages)
            return sent
    except aiormq.exceptions.PublishError as error:
        raise QueueMissing(queue_of(service)) from error
    finally:
        await link.close()


async def declare_queue(channel: AbstractChannel, service: str, patterns: Sequence[str]) -> AbstractQueue:
    """A service's queue, bound to just the types that it handles, and its queue of dead letters."""
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    await declare_dead_queue(channel, service)
    arguments: Arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_queue_of(service),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # what at-least-once dead-lettering asks for; no length limit is set
    }
    queue = await channel.declare_queue(queue_of(service), durable=True, arguments=arguments)
    for pattern in patterns:
        await queue.bind(exchange, routing_key="#" if pattern == "*" else pattern)
    return queue


async def declare_dead_queue(channel: AbstractChannel, service: str) -> AbstractQueue:
    arguments: Arguments = {"x-queue-type": "quorum", "x-delivery-limit": UNLIMITED}
    return await channel.declare_queue(dead_queue_of(service), durable=True, arguments=arguments)


async def _close(what: AbstractChannel | AbstractConnection) -> None:
    """Close without waiting for long for a broker that may be gone."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await what.close()
    except LOST as error:
        log.info("closed without the broker's answer", reason=reason_of(error))
