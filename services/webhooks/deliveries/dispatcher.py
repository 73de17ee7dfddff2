"""The dispatcher: claims what is due, signs and posts it, and writes the results down in bulk.

Three loops run side by side: one claims, one records, one says that this dispatcher lives. Posts run in libcurl and
hold neither a database transaction nor a message of the broker. Whatever dies, a delivery is either settled or still
in the queue: another dispatcher takes it over, and what was in flight at that moment is the most that is sent twice.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import metrics, model, recording, store
from services.webhooks.deliveries.client import Client
from services.webhooks.deliveries.destinations import Destinations
from services.webhooks.deliveries.model import Lane, Result, Want
from services.webhooks.deliveries.recording import Made
from services.webhooks.deliveries.store import Claim, Due
from services.webhooks.endpoints import health
from services.webhooks.endpoints import store as endpoints
from services.webhooks.endpoints.secrets import Keyring
from services.webhooks.endpoints.store import Key
from shared import clock
from shared.db import CONTENDED, EXHAUSTED, LOST, Conn, Database, DatabaseAway
from shared.ids import uuid7
from shared.stopping import cancel

log = structlog.get_logger("dispatcher")
T = TypeVar("T")

POLL_SECONDS = 1.0
"""Retries become due, and other processes store deliveries, without anybody telling: look this often."""
SCAN_SHARE = 1.0
"""Rest this many times as long as the last look for work took, so that looking never costs most of the time."""
FRUITLESS_SECONDS = 1.0
"""An endpoint whose due deliveries could not be claimed (all wait for their turn) is left alone for this long."""
CLAIMED_AT_ONCE = 500
RECORDED_AT_ONCE = 1000
UNRECORDED_AT_MOST = 4000
MEASURE_SECONDS = 15.0
AWAY = (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED)


class Dispatcher:
    """One process's share of the deliveries."""

    def __init__(self, database: Database, config: WebhooksConfig, keyring: Keyring, client: Client) -> None:
        self._database = database
        self._config = config
        self._client = client
        self._destinations = Destinations(keyring)
        self._id = uuid7()
        self._registered = False
        self._wake = asyncio.Event()
        self._made: asyncio.Queue[Made] = asyncio.Queue()
        self._unrecorded = 0
        self._posts: dict[asyncio.Future[Result], Claim] = {}
        self._per_endpoint: Counter[Key] = Counter()
        self._per_tenant: Counter[UUID] = Counter()
        self._rest_until: dict[Key, float] = {}
        self._healthy_at: dict[Key, datetime] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until told to stop; then let what is in flight end, and hand back the rest."""
        if self._config.allow_insecure:
            log.warning("WEBHOOKS MAY GO TO http AND PRIVATE ADDRESSES: ARPILOT_WEBHOOKS_ALLOW_INSECURE is on")
        self._database.on_commit.append(self.wake)
        background = [asyncio.create_task(self._live()), asyncio.create_task(self._record())]
        claiming = asyncio.create_task(self._claim_for_ever())
        try:
            await stopping.wait()
            await cancel(claiming)
            await self._wind_down()
        finally:
            self._database.on_commit.remove(self.wake)
            await cancel(claiming, *background)
            await self._hand_back()

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    async def _wind_down(self) -> None:
        if self._posts:
            await asyncio.wait(self._posts, timeout=self._config.stop_seconds)
        try:
            async with asyncio.timeout(self._config.stop_seconds):
                await self._made.join()
        except TimeoutError:
            log.warning("results could not be recorded and their deliveries will be repeated", count=self._unrecorded)

    async def _hand_back(self) -> None:
        try:
            async with self._database.transaction() as conn:
                returned = await store.hand_back(conn, self._id)
            log.info("stopped", handed_back=returned)
        except AWAY as error:
            log.warning("leases could not be handed back and will run out", reason=str(error))

    # Living

    async def _live(self) -> None:
        measured = 0.0
        while True:
            try:
                await self._beat()
                if time.monotonic() - measured >= MEASURE_SECONDS:
                    await self._measure()
                    measured = time.monotonic()
            except AWAY as error:
                log.warning("the dispatcher waits for the database", reason=str(error))
            await asyncio.sleep(self._config.lease_seconds / 4)

    async def _beat(self) -> None:
        async with self._database.transaction() as conn:
            if not self._registered or not await store.still_alive(conn, self._id, self._config.lease_seconds):
                # what was claimed under the old name is somebody else's now; its results will be fenced off
                self._id = uuid7()
                await store.register(conn, self._id, self._config.lease_seconds)
            freed = await store.bury_dead(conn)
        self._registered = True
        if freed:
            log.warning("took over from a dispatcher that died", deliveries=freed)

    async def _measure(self) -> None:
        async with self._database.connection() as conn:
            metrics.QUEUE_DEPTH.set(await store.depth(conn))
            metrics.OPEN_CIRCUITS.set(await endpoints.open_circuits(conn))

    # Claiming

    async def _claim_for_ever(self) -> None:
        while True:
            self._wake.clear()
            started = time.perf_counter()
            try:
                more = await self._claim()
            except AWAY as error:
                log.warning("claiming waits for the database", reason=str(error))
                more = False
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(min((time.perf_counter() - started) * SCAN_SHARE, POLL_SECONDS) if not more else 0)
            await self._wait(POLL_SECONDS if not more else 0)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self) -> bool:
        """Claim and post once; says whether there is likely more for the slots that are free."""
        free = min(
            self._config.concurrency - len(self._posts), RECORDED_AT_ONCE * 4 - self._unrecorded, CLAIMED_AT_ONCE
        )
        if free <= 0 or not self._registered:
            return False
        now = clock.now()
        async with self._database.connection() as conn:
            due = await store.due(conn, now)
            _measure_age(due, now)
            wants = self._choose(due, free, now)
            if not wants:
                return False
            claims = await self._lease(conn, due, wants, now)
            stale = self._destinations.stale({(claim.key, claim.endpoint_version) for claim in claims})
            if stale:
                await self._destinations.read(conn, stale)
        self._note_fruitless(wants, claims, due)
        for claim in claims:
            self._post(claim)
        return len(claims) == free

    def _choose(self, due: Sequence[Due], free: int, now: datetime) -> list[Want]:
        lanes = [lane for each in due if (lane := self._lane(each, now)).room]
        random.shuffle(lanes)  # what does not divide goes to the first
        rooms = {
            lane.tenant_id: max(0, self._config.concurrency_per_tenant - self._per_tenant[lane.tenant_id])
            for lane in lanes
        }
        return model.choose(lanes, total=free, tenant_rooms=rooms)

    def _lane(self, due: Due, now: datetime) -> Lane:
        key = due.tenant_id, due.endpoint_id
        if due.health.failures:
            self._healthy_at.pop(key, None)  # maybe another dispatcher's finding: the next success must be noted
        resting = self._rest_until.get(key, 0.0) > time.monotonic()
        limit = self._config.concurrency_per_endpoint
        room = health.room(due.health, limit=limit, in_flight=self._per_endpoint[key], now=now)
        return Lane(
            tenant_id=due.tenant_id,
            endpoint_id=due.endpoint_id,
            room=0 if resting else room,
            has_first=due.first_due_at is not None,
            has_retries=due.retry_due_at is not None,
        )

    async def _lease(self, conn: Conn, due: Sequence[Due], wants: Sequence[Want], now: datetime) -> list[Claim]:
        tenants = {each.endpoint_id: each.tenant_id for each in due}
        limits = {each.endpoint_id: each.rate_limit_per_second for each in due}
        if not any(limits[want.endpoint_id] for want in wants):
            return await store.claim(conn, self._id, tenants, wants, now=now)
        async with conn.transaction():
            metered = await self._metered(conn, tenants, limits, wants, now)
            return await store.claim(conn, self._id, tenants, metered, now=now)

    async def _metered(
        self,
        conn: Conn,
        tenants: dict[UUID, UUID],
        limits: dict[UUID, int | None],
        wants: Sequence[Want],
        now: datetime,
    ) -> list[Want]:
        """The wants, cut down to what the rate limits let through now."""
        limited = {want.endpoint_id for want in wants if limits[want.endpoint_id]}
        meters = await store.lock_meters(conn, [(tenants[endpoint], endpoint) for endpoint in limited])
        allowed: list[Want] = []
        for want in wants:
            key, per_second = (tenants[want.endpoint_id], want.endpoint_id), limits[want.endpoint_id]
            if per_second is None:
                allowed.append(want)
                continue
            granted = model.grant(meters[key], per_second=per_second, wanted=want.count, now=now)
            meters[key] = granted.meter
            self._rest(key, (model.opens_at(granted.meter, per_second=per_second) - now).total_seconds())
            if granted.count:
                allowed.append(Want(want.endpoint_id, want.is_retry, granted.count))
        await store.save_meters(conn, meters)
        return allowed

    def _rest(self, key: Key, seconds: float) -> None:
        """Leave an endpoint alone for a while."""
        self._rest_until[key] = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(max(0.0, seconds), self.wake)

    def _note_fruitless(self, wants: Sequence[Want], claims: Sequence[Claim], due: Sequence[Due]) -> None:
        """An ordered endpoint may have only what waits for its turn: do not look through it every few milliseconds."""
        self._rest_until = {key: until for key, until in self._rest_until.items() if until > time.monotonic()}
        got = {claim.endpoint_id for claim in claims}
        keys = {each.endpoint_id: (each.tenant_id, each.endpoint_id) for each in due}
        for endpoint in {want.endpoint_id for want in wants} - got:
            key = keys[endpoint]
            if key not in self._rest_until and not self._per_endpoint[key]:
                self._rest(key, FRUITLESS_SECONDS)

    # Posting

    def _post(self, claim: Claim) -> None:
        destination = self._destinations.get(claim.key)
        if destination is None:  # deleted since the claim, and its queue with it
            return
        now = clock.now()
        body = claim.payload.encode()
        headers = destination.headers(str(claim.event_id), body, now)
        future = self._client.post(destination.url, headers, body, timeout_seconds=destination.timeout_seconds)
        self._posts[future] = claim
        self._per_endpoint[claim.key] += 1
        self._per_tenant[claim.tenant_id] += 1
        future.add_done_callback(lambda done: self._finish(done, claim, now))

    def _finish(self, future: asyncio.Future[Result], claim: Claim, started: datetime) -> None:
        del self._posts[future]
        _decrement(self._per_endpoint, claim.key)
        _decrement(self._per_tenant, claim.tenant_id)
        if not future.cancelled():
            self._unrecorded += 1
            self._made.put_nowait(Made(claim, future.result(), started, clock.now()))
        self._wake.set()

    # Recording

    async def _record(self) -> None:
        while True:
            batch = [await self._made.get()]
            while len(batch) < RECORDED_AT_ONCE and not self._made.empty():
                batch.append(self._made.get_nowait())
            await self._record_until_done(batch)
            self._unrecorded -= len(batch)
            for _ in batch:
                self._made.task_done()

    async def _record_until_done(self, batch: Sequence[Made]) -> None:
        """A repetition after a lost commit changes nothing: the leases of what was recorded are gone."""
        while True:
            try:
                async with self._database.transaction() as conn:
                    self._healthy_at |= await recording.record(conn, batch, self._healthy_at)
            except AWAY as error:
                log.warning("results wait for the database", count=len(batch), reason=str(error))
                await asyncio.sleep(POLL_SECONDS / 4)
            else:
                return


def _measure_age(due: Sequence[Due], now: datetime) -> None:
    instants = [at for each in due for at in (each.first_due_at, each.retry_due_at) if at is not None]
    metrics.OLDEST_DUE_SECONDS.set((now - min(instants)).total_seconds() if instants else 0)


def _decrement(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
