"""The relay: takes what transactions left in the outbox to the bus, and removes what the bus has confirmed.

One relay at a time works for a schema, under a lease, so events of one object leave in the order of their commits.
It is woken by commits of its own process and by `NOTIFY` of others; polling is only the safety net.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from shared.bus import Bus, BusAway, Message, Outcome, Publisher
from shared.db import EXHAUSTED, LOST, Conn, Database, DatabaseAway
from shared.inbox import reason_of
from shared.lease import Lease
from shared.outbox_floor import OutboxFloor
from shared.reserve import Reserve
from shared.retry import pauses
from shared.stopping import cancel, either, pause, unless

log = structlog.get_logger(__name__)

BATCH_EVENTS = 500
WINDOW_EVENTS = 4 * BATCH_EVENTS
"""How many events may be on their way at once: the next are read while these await their confirms."""

POLL_SECONDS = 1.0
LEASE_SECONDS = 3.0
NOTIFY_PAUSE_SECONDS = 0.005
"""Least time between two notifications: `NOTIFY` takes a lock that all commits of the database share."""
REFUSED_PAUSE_SECONDS = 2.0
GRACE_SECONDS = 5.0
MEASURE_SECONDS = 10.0
MEASURED_ROWS = 100_000

AWAY = (BusAway, DatabaseAway, *LOST, *EXHAUSTED)

PUBLISHED = Counter("arpilot_events_published_total", "Events that the bus has confirmed", ("service",))
REFUSED = Counter(
    "arpilot_events_refused_total", "Events that the bus did not take; they are tried again", ("service",)
)
DEPTH = Gauge("arpilot_outbox_events", "Events in the outbox (counted up to 100000)", ("service",))
OLDEST_SECONDS = Gauge("arpilot_outbox_oldest_seconds", "Age of the oldest event in the outbox", ("service",))

PENDING = """
    select id, event_id, type, body from outbox
    where id > $1 and id <> all($2::bigint[]) and type <> all($3::text[])
    order by id limit $4
"""
REMOVE = """
    delete from outbox using set_config('synchronous_commit', 'off', true) where id = any($1::bigint[])
"""
"""Does not wait for the disk: what a crash of the server brings back is published again, and dropped by the inboxes."""
MEASURE = """
    select count(*) as depth, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_seconds
    from (select created_at from outbox order by id limit $1) as pending
"""


class Relay:
    """Empties one service's outbox into the bus."""

    def __init__(self, service: str, database: Database, bus: Bus) -> None:
        self._service = service
        self._database = database
        self._bus = bus
        self._channel = f"arpilot_outbox_{service}"
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may have been committed."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop. What is away is waited for: the events stay where they are."""
        self._database.on_announcement.append(self.wake)
        waits = pauses()
        try:
            while not stopping.is_set():
                try:
                    await self._turn(stopping)
                    waits = pauses()
                except AWAY as error:
                    if not stopping.is_set():
                        log.warning("events wait in the outbox", service=self._service, reason=reason_of(error))
                    await pause(next(waits), stopping)
                except Exception:
                    log.exception("the relay failed and begins again", service=self._service)
                    await pause(next(waits), stopping)
        finally:
            self._database.on_announcement.remove(self.wake)

    async def _turn(self, stopping: asyncio.Event) -> None:
        """Lead if nobody else does, else stand by for a while. Both with connections that requests cannot take away."""
        async with self._database.connection() as conn, self._database.connection() as spare:
            reserve = Reserve(spare)
            lease = Lease(reserve, "relay", ttl_seconds=LEASE_SECONDS)
            if not await lease.take():
                await self._stand_by(conn, stopping)
                return
            try:
                async with lease.kept(), either(stopping, lease.lost) as over:
                    await self._lead(conn, reserve, over)
            finally:
                await lease.leave()

    async def _stand_by(self, conn: Conn, stopping: asyncio.Event) -> None:
        """Tell the relay that holds the lease of commits made here, until it is time to ask for the lease again."""
        until = time.monotonic() + POLL_SECONDS
        while not stopping.is_set() and time.monotonic() < until:
            if await pause(POLL_SECONDS / 4, self._wake):
                self._wake.clear()
                await conn.execute("select pg_notify($1, '')", self._channel)
                await asyncio.sleep(NOTIFY_PAUSE_SECONDS)

    async def _lead(self, conn: Conn, reserve: Reserve, over: asyncio.Event) -> None:
        async with self._listening(conn), self._measuring(reserve), AsyncExitStack() as stack:
            publisher = await unless(over, stack.enter_async_context(self._bus.publisher()))
            if publisher is not None:
                await _Pump(self._service, reserve, publisher, self._wake).run(conn, over)

    @asynccontextmanager
    async def _listening(self, conn: Conn) -> AsyncIterator[None]:
        def hear(*_: object) -> None:
            self.wake()

        await conn.add_listener(self._channel, hear)
        try:
            yield
        finally:
            if not conn.is_closed():
                await conn.remove_listener(self._channel, hear)

    @asynccontextmanager
    async def _measuring(self, reserve: Reserve) -> AsyncIterator[None]:
        task = asyncio.create_task(self._measure_for_ever(reserve))
        try:
            yield
        finally:
            await cancel(task)
            DEPTH.labels(self._service).set(0)  # the next holder of the lease reports
            OLDEST_SECONDS.labels(self._service).set(0)

    async def _measure_for_ever(self, reserve: Reserve) -> None:
        while True:
            try:
                async with reserve.connection() as conn:
                    row = await conn.fetchrow(MEASURE, MEASURED_ROWS)
            except AWAY as error:
                log.info("the outbox could not be measured", service=self._service, reason=reason_of(error))
            else:
                assert row is not None
                DEPTH.labels(self._service).set(row["depth"])
                OLDEST_SECONDS.labels(self._service).set(row["oldest_seconds"])
            await asyncio.sleep(MEASURE_SECONDS)


class _Pump:
    """What one publisher is given, from the first batch to the stop or to the loss of the bus."""

    def __init__(self, service: str, reserve: Reserve, publisher: Publisher, wake: asyncio.Event) -> None:
        self._service = service
        self._reserve = reserve
        self._publisher = publisher
        self._wake = wake
        self._in_flight: dict[asyncio.Task[bool], list[int]] = {}
        self._refused_until: dict[str, float] = {}
        self._floor = OutboxFloor()

    async def run(self, conn: Conn, over: asyncio.Event) -> None:
        """Publish what comes until it is over; raises BusAway, or what the database failed with."""
        end = asyncio.create_task(over.wait())
        end.add_done_callback(lambda _: self._wake.set())
        try:
            while not over.is_set() and self._intact():
                self._wake.clear()
                rows = await self._next_batch(conn)
                if rows:
                    self._send(rows)
                if sum(map(len, self._in_flight.values())) > WINDOW_EVENTS - BATCH_EVENTS:
                    await asyncio.wait({end, *self._in_flight}, return_when=asyncio.FIRST_COMPLETED)
                elif len(rows) < BATCH_EVENTS:
                    await pause(POLL_SECONDS, self._wake)
        finally:
            await self._finish(end)

    async def _next_batch(self, conn: Conn) -> list[asyncpg.Record]:
        floor = await self._floor.look(conn)
        on_their_way = [id_ for ids in self._in_flight.values() for id_ in ids]
        return await conn.fetch(PENDING, floor, on_their_way, self._refused_types(), BATCH_EVENTS)

    def _refused_types(self) -> list[str]:
        """Types that have to wait, so that they do not stand before those that the bus does take."""
        at = time.monotonic()
        self._refused_until = {name: until for name, until in self._refused_until.items() if until > at}
        return list(self._refused_until)

    def _send(self, rows: list[asyncpg.Record]) -> None:
        """Begin to publish a batch. Batches begin in order, and a publisher keeps the order."""
        task = asyncio.create_task(self._deliver(rows))
        self._in_flight[task] = [row["id"] for row in rows]
        task.add_done_callback(lambda _: self._wake.set() if not _went_well(task) else None)

    async def _deliver(self, rows: list[asyncpg.Record]) -> bool:
        """Publish a batch and remove what is confirmed; says whether the publisher can go on."""
        outcomes = await self._publisher.publish([Message(row["event_id"], row["type"], row["body"]) for row in rows])
        confirmed = [row["id"] for row, outcome in zip(rows, outcomes, strict=True) if outcome is Outcome.CONFIRMED]
        if confirmed:
            async with self._reserve.connection() as conn:
                await conn.execute(REMOVE, confirmed)
            PUBLISHED.labels(self._service).inc(len(confirmed))
        self._hold_back(
            [row["type"] for row, outcome in zip(rows, outcomes, strict=True) if outcome is Outcome.REFUSED]
        )
        return Outcome.UNKNOWN not in outcomes

    def _hold_back(self, refused: list[str]) -> None:
        REFUSED.labels(self._service).inc(len(refused))
        for name in set(refused):
            log.warning("the bus takes no events of this type now", service=self._service, type=name)
            self._refused_until[name] = time.monotonic() + REFUSED_PAUSE_SECONDS

    def _intact(self) -> bool:
        """Forget the batches that are done; whether all of them went well."""
        done = [task for task in self._in_flight if task.done()]
        if any(not _went_well(task) for task in done):
            return False
        for task in done:
            del self._in_flight[task]
        return True

    async def _finish(self, end: "asyncio.Task[bool]") -> None:
        """Wait a little for what is on its way, so that a clean stop leaves nothing to be published twice."""
        end.cancel()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=GRACE_SECONDS)
        await cancel(*self._in_flight)
        for task in self._in_flight:
            if not _went_well(task):
                raise _failure(task) or BusAway("not everything was confirmed")


def _went_well(task: "asyncio.Task[bool]") -> bool:
    return not task.cancelled() and task.exception() is None and task.result()


def _failure(task: "asyncio.Task[bool]") -> BaseException | None:
    return None if task.cancelled() else task.exception()
