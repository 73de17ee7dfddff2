"""The bus inside one process: the durable outbox handed to the handlers of the same process.

A message is confirmed, and so leaves the outbox, only when each consumer has committed its work or its dead letter.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from shared import events
from shared.bus import Message, Outcome
from shared.db import EXHAUSTED, LOST, DatabaseAway
from shared.events import Event
from shared.inbox import BATCH_EVENTS, Consumer, Failure, reason_of
from shared.retry import pauses
from shared.stopping import pause

log = structlog.get_logger(__name__)

AWAY = (DatabaseAway, *LOST, *EXHAUSTED)

REQUEUED_EVERY_SECONDS = 1.0
"""How often the dead letters are looked through for those that an operator sent back."""

BURY = """
    insert into dead_events (tenant_id, event_id, type, body, reason, attempts)
    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::integer[])
    on conflict (event_id) do update
    set reason = excluded.reason, attempts = excluded.attempts, died_at = now(), requeued_at = null
"""
REQUEUED = "select body from dead_events where requeued_at is not null order by died_at, event_id limit $1"
REVIVED = "delete from dead_events where requeued_at is not null and event_id = any($1::uuid[])"


class _Delivery(NamedTuple):
    event: Event
    settled: "asyncio.Future[Outcome]"

    def settle(self, outcome: Outcome) -> None:
        if not self.settled.done():  # the relay may have gone
            self.settled.set_result(outcome)


class _Mailbox:
    """What one consumer still has to handle. Bounded by what the relays have in flight."""

    def __init__(self) -> None:
        self._waiting: deque[_Delivery] = deque()
        self._filled = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> "asyncio.Future[Outcome]":
        delivery = _Delivery(event, asyncio.get_running_loop().create_future())
        if self._closed:
            delivery.settle(Outcome.UNKNOWN)
        else:
            self._waiting.append(delivery)
            self._filled.set()
        return delivery.settled

    async def take(self, consumer: Consumer) -> list[_Delivery]:
        """What is there, at most a batch, when it is time for it; empty once closed."""
        await self._filled.wait()
        await consumer.rest(len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(min(BATCH_EVENTS, len(self._waiting)))]
        if not self._waiting and not self._closed:
            self._filled.clear()
        return batch

    def close(self) -> None:
        """Leave the rest in the outboxes, for the next start."""
        self._closed = True
        self._filled.set()
        while self._waiting:
            self._waiting.popleft().settle(Outcome.UNKNOWN)


class LocalBus:
    """Queues in memory. What is lost with them still stands in the outboxes."""

    connected = True

    def __init__(self) -> None:
        self._mailboxes: list[tuple[Consumer, _Mailbox]] = []

    def subscribe(self, consumer: Consumer) -> None:
        self._mailboxes.append((consumer, _Mailbox()))

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator["LocalBus"]:
        yield self

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Hand each message to each consumer that wants it and wait until all have settled it."""
        settling = [self._deliver(message) for message in messages]
        return [await _worst(settled) for settled in settling]

    def _deliver(self, message: Message) -> "list[asyncio.Future[Outcome]]":
        wanting = [box for consumer, box in self._mailboxes if events.matches_any(consumer.patterns, message.type)]
        if not wanting:
            return []
        event = events.decode(message.body)
        return [box.put(event) for box in wanting]

    async def consume(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        mailbox = next(box for owner, box in self._mailboxes if owner is consumer)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_close_on(stopping, mailbox))
            tasks.create_task(_work_through(mailbox, consumer, stopping))
            tasks.create_task(_watch_requeued(consumer, stopping))

    async def close(self) -> None:
        for _, mailbox in self._mailboxes:
            mailbox.close()


async def _worst(settled: "list[asyncio.Future[Outcome]]") -> Outcome:
    outcomes = [await one for one in settled]
    return Outcome.UNKNOWN if Outcome.UNKNOWN in outcomes else Outcome.CONFIRMED


async def _close_on(stopping: asyncio.Event, mailbox: _Mailbox) -> None:
    await stopping.wait()
    mailbox.close()


async def _work_through(mailbox: _Mailbox, consumer: Consumer, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        batch = await mailbox.take(consumer)
        outcome = Outcome.UNKNOWN
        try:
            await _handle(consumer, [delivery.event for delivery in batch])
            outcome = Outcome.CONFIRMED
        finally:
            for delivery in batch:
                delivery.settle(outcome)


async def _watch_requeued(consumer: Consumer, stopping: asyncio.Event) -> None:
    """Handle again what an operator sent back, whichever process the operator's command ran in."""
    while not await pause(REQUEUED_EVERY_SECONDS, stopping):
        try:
            await _handle_requeued(consumer)
        except AWAY as error:
            log.warning("dead letters wait for the database", service=consumer.service, reason=reason_of(error))


async def _handle_requeued(consumer: Consumer) -> None:
    async with consumer.database.connection() as conn:
        rows = await conn.fetch(REQUEUED, BATCH_EVENTS)
    if rows:
        batch = [events.decode(row["body"]) for row in rows]
        await _handle(consumer, batch)
        async with consumer.database.connection() as conn:
            await conn.execute(REVIVED, [event.id for event in batch])


async def _handle(consumer: Consumer, batch: list[Event]) -> None:
    if failures := await consumer.consume(batch):
        await _bury(consumer, failures)


async def _bury(consumer: Consumer, failures: list[Failure]) -> None:
    """Keep dead letters in the consuming service's own schema; a database that is away is waited for."""
    for seconds in pauses():
        try:
            async with consumer.database.connection() as conn:
                await conn.execute(BURY, *_columns(failures))
        except AWAY as error:
            log.warning("dead letters wait for the database", service=consumer.service, reason=reason_of(error))
            await asyncio.sleep(seconds)
        else:
            return


def _columns(failures: list[Failure]) -> tuple[list[object], ...]:
    return (
        [failure.event.tenant_id for failure in failures],
        [failure.event.id for failure in failures],
        [failure.event.type for failure in failures],
        [failure.event.encode().decode() for failure in failures],
        [failure.reason for failure in failures],
        [failure.attempts for failure in failures],
    )
