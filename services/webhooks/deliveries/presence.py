"""A dispatcher's life as the others see it: its leases count for as long as it says often enough that it is there."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from services.webhooks.deliveries import metrics, store
from services.webhooks.endpoints import store as endpoints
from shared.clock import SharedClock
from shared.db import CONTENDED, EXHAUSTED, LOST, Database, DatabaseAway
from shared.ids import uuid7

log = structlog.get_logger("dispatcher")

AWAY = (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED)
BEATS_PER_LEASE = 4
AGAIN_SECONDS = 1.0
"""After a beat that did not reach the database."""
MEASURE_SECONDS = 15.0


class Presence:
    """The name that this dispatcher claims under, kept alive; and the burial of others.

    `held` says which leases this dispatcher knows that it has.
    """

    def __init__(self, database: Database, lease_seconds: float, held: Callable[[], Collection[int]]) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._held = held
        self._doubted = asyncio.Event()
        self.id = uuid7()
        self.registered = False
        self.clock = SharedClock()
        """Set at each beat, so that dispatchers agree on what is due, whatever the clocks of their hosts say."""

    async def keep(self) -> None:
        """Say again and again that it lives; runs until cancelled."""
        measured = 0.0
        while True:
            pause = self._lease_seconds / BEATS_PER_LEASE
            try:
                await self._beat()
                if time.monotonic() - measured >= MEASURE_SECONDS:
                    await self._measure()
                    measured = time.monotonic()
            except AWAY as error:
                log.warning("the dispatcher waits for the database", reason=str(error))
                pause = min(pause, AGAIN_SECONDS)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Until the next beat, or until something is in doubt."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._doubted.wait()
        self._doubted.clear()

    def doubt(self) -> None:
        """A claim failed, so leases may be ours that we do not know: claim nothing more under the present name."""
        self.registered = False
        self._doubted.set()

    async def _beat(self) -> None:
        name = self.id
        async with self._database.transaction() as conn:
            if not self.registered or not await store.still_alive(conn, name, self._lease_seconds):
                # if others have given the old name up, nothing is left of it; what it held is fenced off
                name = uuid7()
                await store.register(conn, name, self._lease_seconds)
                await store.succeed(conn, self.id, name, self._held())
            freed = await store.bury_dead(conn)
            instant = await store.instant(conn)
        self.clock.set(instant)
        self.id, self.registered = name, True
        if freed:
            log.warning("took over from a dispatcher that died", deliveries=freed)

    async def _measure(self) -> None:
        async with self._database.connection() as conn:
            metrics.QUEUE_DEPTH.set(await store.depth(conn))
            metrics.OPEN_CIRCUITS.set(await endpoints.open_circuits(conn))

    async def leave(self) -> None:
        """Hand back what was claimed and not delivered."""
        try:
            async with self._database.transaction() as conn:
                returned = await store.hand_back(conn, self.id)
        except AWAY as error:
            log.warning("leases could not be handed back and will run out", reason=str(error))
        else:
            log.info("stopped", handed_back=returned)
