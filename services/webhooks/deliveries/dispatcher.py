"""The dispatcher: claims what is due, signs and posts it, and writes the results down in bulk.

Three loops run side by side: one claims, one records, one says that this dispatcher lives. Posts run in libcurl and
hold neither a database transaction nor a message of the broker. Whatever dies, a delivery is either settled or still
in the queue: another dispatcher takes it over, and what was in flight at that moment is the most that is sent twice.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
import structlog

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import metrics, recording, store
from services.webhooks.deliveries.claiming import CLAIMED_AT_ONCE, Claimer, Slots, decrement
from services.webhooks.deliveries.client import Client
from services.webhooks.deliveries.destinations import Destination, Destinations
from services.webhooks.deliveries.model import Answer, NoAnswer, Result
from services.webhooks.deliveries.presence import AWAY, Presence
from services.webhooks.deliveries.recording import Made
from services.webhooks.deliveries.store import Claim
from services.webhooks.endpoints.secrets import Keyring
from services.webhooks.endpoints.store import Key
from shared import tracing
from shared.db import Database, DatabaseAway
from shared.stopping import cancel

log = structlog.get_logger("dispatcher")

POLL_SECONDS = 1.0
"""Retries become due, and other processes store deliveries, without anybody telling: look this often."""
SCAN_SHARE = 1.0
"""Rest this many times as long as the last look for work took, so that looking never costs most of the time."""
RECORDED_AT_ONCE = 1000


class Dispatcher:
    """One process's share of the deliveries."""

    def __init__(self, database: Database, config: WebhooksConfig, keyring: Keyring, client: Client) -> None:
        self._database = database
        self._config = config
        self._client = client
        self._destinations = Destinations(keyring)
        self._held: Counter[int] = Counter()  # deliveries per lease, from the claim until they are recorded
        self._presence = Presence(database, config.lease_seconds, self._held.keys)
        self._slots = Slots(lambda seconds: asyncio.get_running_loop().call_later(seconds, self.wake))
        self._claimer = Claimer(config, self._presence, self._slots)
        self._wake = asyncio.Event()
        self._posts: set[asyncio.Future[Result]] = set()
        self._made: asyncio.Queue[Made] = asyncio.Queue()
        self._refill = asyncio.Event()
        self._refill_at = 0
        self._healthy_at: dict[Key, datetime] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until told to stop; then let what is in flight end, and hand back the rest."""
        if self._config.allow_insecure:
            log.warning("WEBHOOKS MAY GO TO http AND PRIVATE ADDRESSES: ARPILOT_WEBHOOKS_ALLOW_INSECURE is on")
        self._database.on_commit.append(self.wake)
        background = [asyncio.create_task(self._presence.keep()), asyncio.create_task(self._record_for_ever())]
        claiming = asyncio.create_task(self._claim_for_ever())
        try:
            await stopping.wait()
            await cancel(claiming)
            await self._wind_down()
        finally:
            self._database.on_commit.remove(self.wake)
            await cancel(claiming, *background)
            await self._presence.leave()

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
            log.warning("results could not be recorded and their deliveries will be repeated", count=self._held.total())

    # Claiming

    async def _claim_for_ever(self) -> None:
        while True:
            self._wake.clear()
            started = time.perf_counter()
            if not await self._claim_safely():
                await self._rest(min((time.perf_counter() - started) * SCAN_SHARE, POLL_SECONDS))
                await self._wait_for_work()

    async def _rest(self, seconds: float) -> None:
        """Leave the database alone for a while, but not until nothing is in flight any more."""
        self._refill_at = self._slots.total // 2
        self._refill.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._refill.wait()
        except TimeoutError:
            return

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim_safely(self) -> bool:
        try:
            return await self._claim()
        except DatabaseAway as error:  # before anything was asked
            log.warning("claiming waits for a connection", reason=str(error))
        except AWAY as error:
            log.warning("claiming waits for the database", reason=str(error))
            self._presence.doubt()
        except Exception:
            log.exception("claiming failed and will be tried again")
            self._presence.doubt()
        await asyncio.sleep(POLL_SECONDS)
        return False

    async def _claim(self) -> bool:
        """Claim and post once; says whether there is likely more for slots that are free."""
        metrics.IN_FLIGHT.set(self._slots.total)
        unsettled = self._held.total()  # what would be repeated if this process died now
        free = min(self._config.concurrency - unsettled, CLAIMED_AT_ONCE)
        if free <= 0 or not self._presence.registered:
            self._claimer.leaves_some = True  # nobody knows
            return False
        now = self._presence.clock.now()
        async with self._database.connection() as conn:
            due = await store.due(conn, now)
            for each in due:
                if each.health.failures or each.health.last_success_at is None:  # the next success must be noted
                    self._healthy_at.pop(each.key, None)
            claims = await self._claimer.claim(conn, due, free, now)
            stale = self._destinations.stale({(claim.key, claim.endpoint_version) for claim in claims})
            if stale:
                await self._destinations.read(conn, stale)
        now = self._presence.clock.now()
        for claim in claims:
            self._begin(claim, now)
        return len(claims) == free

    # Posting

    def _begin(self, claim: Claim, now: datetime) -> None:
        destination = self._destinations.get(claim.key)
        if destination is None:
            return
        self._held[claim.lease] += 1
        if not isinstance(destination, Destination):
            self._made.put_nowait(Made(claim, destination, now))
            return
        try:
            self._post(claim, destination, now)
        except Exception:
            log.exception(
                "a delivery could not be begun", event_id=str(claim.event_id), endpoint=str(claim.endpoint_id)
            )
            self._made.put_nowait(Made(claim, NoAnswer("could not be sent", 0), now))

    def _post(self, claim: Claim, destination: Destination, now: datetime) -> None:
        body = claim.payload.encode()
        traceparent = tracing.child(claim.traceparent)
        headers = [*destination.headers(str(claim.event_id), body, now), f"traceparent: {traceparent}"]
        future = self._client.post(destination.url, headers, body, timeout_seconds=destination.timeout_seconds)
        self._slots.take(claim)
        self._posts.add(future)
        future.add_done_callback(lambda done: self._finish(done, claim, now, traceparent))

    def _finish(self, future: asyncio.Future[Result], claim: Claim, started: datetime, traceparent: str) -> None:
        self._posts.discard(future)
        self._slots.free(claim)
        if self._slots.total <= self._refill_at:
            self._refill.set()
        if not future.cancelled():
            _trace(claim, traceparent, future.result())
            self._made.put_nowait(Made(claim, future.result(), started))
        self._wake_for_the_rest()

    def _wake_for_the_rest(self) -> None:
        """Something ended: that matters only to what was due and not claimed."""
        if self._claimer.leaves_some:
            self._wake.set()

    # Recording

    async def _record_for_ever(self) -> None:
        while True:
            batch = [await self._made.get()]
            while len(batch) < RECORDED_AT_ONCE and not self._made.empty():
                batch.append(self._made.get_nowait())
            await self._record(batch)
            for made in batch:
                decrement(self._held, made.claim.lease)
            self._wake_for_the_rest()
            for _ in batch:
                self._made.task_done()

    async def _record(self, batch: Sequence[Made]) -> None:
        """Write results down. One that cannot be written must not keep the others from it."""
        try:
            await self._record_until_done(batch)
        except Exception:
            log.exception("results could not be recorded", count=len(batch))
            for made in batch if len(batch) > 1 else ():
                await self._record([made])
            if len(batch) == 1 and batch[0].result != _unwritable(batch[0]).result:
                await self._record([_unwritable(batch[0])])

    async def _record_until_done(self, batch: Sequence[Made]) -> None:
        """A repetition after a lost commit changes nothing: the leases of what was recorded are gone."""
        now = self._presence.clock.now()
        while True:
            try:
                async with self._database.transaction(awaited=False) as conn:
                    self._healthy_at |= await recording.record(conn, batch, self._healthy_at, now)
            except AWAY as error:
                log.warning("results wait for the database", count=len(batch), reason=str(error))
                await asyncio.sleep(POLL_SECONDS / 4)
            else:
                return


def _trace(claim: Claim, traceparent: str, result: Result) -> None:
    if tracing.recorder is None:
        return
    tracing.record(
        "POST webhook",
        "client",
        "webhooks",
        traceparent=traceparent,
        parent=claim.traceparent,
        seconds=result.duration_ms / 1000,
        failed=not isinstance(result, Answer) or not 200 <= result.status_code < 300,
        attributes={"arpilot.endpoint_id": str(claim.endpoint_id), "messaging.message.id": str(claim.event_id)},
    )


def _unwritable(made: Made) -> Made:
    """The attempt without what may be odd about its answer."""
    return msgspec.structs.replace(made, result=NoAnswer("its answer could not be stored", made.result.duration_ms))
