"""A dispatcher's life as the others see it: its leases count for as long as it says often enough that it is there."""

import asyncio
import time

import structlog

from services.webhooks.deliveries import metrics, store
from services.webhooks.endpoints import store as endpoints
from shared.clock import SharedClock
from shared.db import CONTENDED, EXHAUSTED, LOST, Database, DatabaseAway
from shared.ids import uuid7

log = structlog.get_logger("dispatcher")

AWAY = (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED)
BEATS_PER_LEASE = 4
MEASURE_SECONDS = 15.0


class Presence:
    """The name that this dispatcher claims under, kept alive; and the burial of others."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self.id = uuid7()
        self.registered = False
        self.clock = SharedClock()
        """Set at each beat, so that dispatchers agree on what is due, whatever the clocks of their hosts say."""

    async def keep(self) -> None:
        """Say again and again that it lives; runs until cancelled."""
        measured = 0.0
        while True:
            try:
                await self._beat()
                if time.monotonic() - measured >= MEASURE_SECONDS:
                    await self._measure()
                    measured = time.monotonic()
            except AWAY as error:
                log.warning("the dispatcher waits for the database", reason=str(error))
            await asyncio.sleep(self._lease_seconds / BEATS_PER_LEASE)

    async def _beat(self) -> None:
        name = self.id
        async with self._database.transaction() as conn:
            if not self.registered or not await store.still_alive(conn, name, self._lease_seconds):
                # what was claimed under the old name is somebody else's now; its results will be fenced off
                name = uuid7()
                await store.register(conn, name, self._lease_seconds)
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
