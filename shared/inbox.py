"""Consuming: each event has its effect once, in one transaction with the row that remembers its id.

A batch is handled in one transaction. When that fails, its events are handled one by one, and tried again a few
times; what then still fails is given up and handed to the bus, which keeps it among the dead letters.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Counter, Histogram

from shared import events, tracing
from shared.clock import now
from shared.db import CONTENDED, EXHAUSTED, LOST, Conn, Database, DatabaseAway, DatabaseBusy
from shared.events import Event
from shared.retry import pauses

log = structlog.get_logger(__name__)

BATCH_EVENTS = 200
"""Most events in one transaction: above, the gain is small and the locks last longer."""

MAX_REST_SECONDS = 0.005
"""Most that a consumer rests between two batches. With it invoices at 200 a second reach their webhook in 27 ms instead
of 50, over the bus in one process; events over RabbitMQ start to be handled 3 ms later at worst."""

ATTEMPTS = 4
ROUND_PAUSE_SECONDS = 0.1
BUSY_ATTEMPTS = 60
"""How often an event is tried again when the server has no room or time for it: about four minutes."""

HANDLE_SECONDS = 60.0
REASON_CHARACTERS = 1000

AWAY = (DatabaseAway, ConnectionError, *(kind for kind in LOST if kind is not OSError))
"""Nothing can be handled now, so no event is to blame. (A plain OSError may be a handler's own.)"""
BUSY = (DatabaseBusy, *CONTENDED, *EXHAUSTED)

CONSUMED = Counter("arpilot_events_consumed_total", "Events handled or given up", ("service", "outcome"))
LAG_SECONDS = Histogram(
    "arpilot_events_lag_seconds",
    "From the change to the end of its handling in another service",
    ("service",),
    buckets=(0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)

RECORD = """
    insert into inbox (event_id)
    select event_id from unnest($1::uuid[]) as event_id, set_config('synchronous_commit', $2, true) as waiting
    on conflict do nothing returning event_id
"""
FORGET = """
    delete from inbox where ctid = any(array(
        select ctid from inbox where received_at < now() - make_interval(days => $1) limit 10000))
"""
RETENTION_DAYS = 30

Handler = Callable[[Conn, Any], Awaitable[None]]


@dataclass(frozen=True)
class Subscription:
    """Which types a handler takes: a name, `invoice.*`, `*`, or several of these.

    The handler runs inside the transaction that the bus opened, with one event; with `batch`, with a sequence of
    all its new events at once: before the handlers of single events where it stands before all of them, else after.
    """

    types: str | Sequence[str]
    handler: Handler
    batch: bool = False

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.types,) if isinstance(self.types, str) else tuple(self.types)

    def takes(self, event: Event) -> bool:
        return events.matches_any(self.patterns, event.type)


def patterns_of(subscriptions: Iterable[Subscription]) -> tuple[str, ...]:
    """All that these subscriptions hear."""
    return tuple(dict.fromkeys(pattern for each in subscriptions for pattern in each.patterns))


class Failure(NamedTuple):
    """An event that was given up, and why."""

    event: Event
    reason: str
    attempts: int


class Consumer:
    """One service's table of subscriptions over its database.

    Without `durable` its commits do not wait for the disk. That is right where whatever settles an event is written
    later to the same write-ahead log: a crash of the server then takes back both, and the event comes again.
    """

    def __init__(
        self, service: str, database: Database, subscriptions: Iterable[Subscription], *, durable: bool = True
    ) -> None:
        self.service = service
        self.database = database
        self._synchronous_commit = "on" if durable else "off"
        self._subscriptions = tuple(subscriptions)
        self._singles = tuple(each for each in self._subscriptions if not each.batch)
        self._first = tuple(takewhile(lambda each: each.batch, self._subscriptions))
        self._last = tuple(each for each in self._subscriptions[len(self._first) :] if each.batch)
        self.patterns = patterns_of(self._subscriptions)
        self._rested_at = 0.0

    async def rest(self, waiting: int) -> None:
        """Rest after a batch for as long as it took, unless a full one waits: what comes meanwhile shares the next.

        So the first event after a while is handled at once, and steady traffic costs less the busier the machine is
        (docs/performance.md).
        """
        seconds = self._rested_at - time.monotonic()
        if seconds > 0 and waiting < BATCH_EVENTS:
            await asyncio.sleep(seconds)

    async def consume(self, batch: Sequence[Event]) -> list[Failure]:
        """Handle the events that are new; returns, once each is settled, those that were given up."""
        unique = list({event.id: event for event in batch if self._wants(event)}.values())
        if not unique:
            return []
        began = time.monotonic()
        error = await self._attempt(unique)
        failures = [] if error is None else await self._one_by_one(unique)
        self._measure(unique, failures)
        ended = time.monotonic()
        self._rested_at = ended + min(MAX_REST_SECONDS, ended - began)
        return failures

    def _wants(self, event: Event) -> bool:
        """Whether anybody here handles it: a queue may be bound to a type that an older version handled."""
        return events.matches_any(self.patterns, event.type)

    async def _one_by_one(self, pending: list[Event]) -> list[Failure]:
        """Let no event suffer from its neighbours, and none wait for long behind those that fail."""
        for _ in range(ATTEMPTS - 1):
            pending = await self._round(pending)
            if not pending:
                return []
            await asyncio.sleep(ROUND_PAUSE_SECONDS)
        return await self._last_round(pending)

    async def _round(self, pending: list[Event]) -> list[Event]:
        """Try each event; returns those that failed, and those behind them about the same object, in order."""
        again: list[Event] = []
        waiting: set[UUID] = set()
        for event in pending:
            if event.subject in waiting or await self._attempt([event]):
                waiting.add(event.subject)
                again.append(event)
        return again

    async def _last_round(self, pending: list[Event]) -> list[Failure]:
        failures = []
        for event in pending:
            if error := await self._attempt([event]):
                log.error("an event was given up", event_id=str(event.id), type=event.type, exc_info=error)
                failures.append(Failure(event, reason_of(error), ATTEMPTS))
        return failures

    async def _attempt(self, batch: list[Event]) -> Exception | None:
        """What a handler failed with, or None. What the database is to blame for is repeated here."""
        busy = 0
        for seconds in pauses():
            try:
                await self._handle(batch)
            except asyncpg.DataError as error:  # an InterfaceError by descent, but the handler's fault
                return error
            except AWAY as error:
                log.warning("events wait for the database", service=self.service, reason=reason_of(error))
            except BUSY as error:
                busy += 1
                if busy >= BUSY_ATTEMPTS or len(batch) > 1:
                    return error
            except Exception as error:  # noqa: BLE001 - a handler's bug must not stop the consumer
                return error
            else:
                return None
            await asyncio.sleep(seconds)
        raise AssertionError("pauses are endless")

    async def _handle(self, batch: list[Event]) -> None:
        async with asyncio.timeout(HANDLE_SECONDS):
            new = await self._handle_once(batch)
        CONSUMED.labels(self.service, "handled").inc(len(new))
        CONSUMED.labels(self.service, "duplicate").inc(len(batch) - len(new))

    async def _handle_once(self, batch: list[Event]) -> set[UUID]:
        try:
            async with self.database.transaction() as conn:
                new = await self._record(conn, batch)
                await self._dispatch(conn, [event for event in batch if event.id in new])
        except TimeoutError as error:  # of a statement: the database does not answer, which is no event's fault
            raise DatabaseAway from error
        return new

    async def _dispatch(self, conn: Conn, batch: list[Event]) -> None:
        started = time.perf_counter()
        await _hand_over(conn, self._first, batch)
        for event in batch:
            traceparent = tracing.begin(event.traceparent)
            for subscription in self._singles:
                if subscription.takes(event):
                    await subscription.handler(conn, event)
            self._trace(event, traceparent, started)
        await _hand_over(conn, self._last, batch)

    def _trace(self, event: Event, traceparent: str, started: float) -> None:
        """Each event of a batch has been in work since the batch was begun."""
        tracing.record(
            f"process {event.type}",
            "consumer",
            self.service,
            traceparent=traceparent,
            parent=event.traceparent,
            seconds=time.perf_counter() - started,
            attributes={"messaging.message.id": str(event.id), "messaging.destination.name": event.type},
        )

    async def _record(self, conn: Conn, batch: list[Event]) -> set[UUID]:
        """Remember the ids; returns those that are new. Sorted, so that two replicas cannot lock each other out."""
        rows = await conn.fetch(RECORD, sorted(event.id for event in batch), self._synchronous_commit)
        return {row["event_id"] for row in rows}

    def _measure(self, batch: list[Event], failures: list[Failure]) -> None:
        CONSUMED.labels(self.service, "dead").inc(len(failures))
        at = now()
        lag = LAG_SECONDS.labels(self.service)
        for event in batch:
            lag.observe(max(0.0, (at - event.time).total_seconds()))


async def _hand_over(conn: Conn, subscriptions: Iterable[Subscription], batch: list[Event]) -> None:
    for subscription in subscriptions:
        if taken := [event for event in batch if subscription.takes(event)]:
            await subscription.handler(conn, taken)


async def forget(database: Database) -> None:
    """Remove what was received longer ago than any broker or dead letter is expected to bring an event again."""
    async with database.connection() as conn:
        while await conn.execute(FORGET, RETENTION_DAYS) != "DELETE 0":
            continue


def reason_of(error: BaseException) -> str:
    """What an operator reads about a failure, in one line of bounded length."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:REASON_CHARACTERS]
