"""Work that one process at a time may do: a row in `leases` that is over by itself when its holder dies."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from shared.db import CONTENDED, EXHAUSTED, LOST, DatabaseAway
from shared.reserve import Connections
from shared.stopping import cancel

log = structlog.get_logger(__name__)

RENEWALS_PER_TTL = 3

TAKE = """
    insert into leases as held (name, holder, fencing, expires_at)
    values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
    on conflict (name) do update
    set holder = excluded.holder, fencing = held.fencing + 1, expires_at = excluded.expires_at
    where held.expires_at <= clock_timestamp()
    returning fencing
"""
RENEW = """
    update leases set expires_at = clock_timestamp() + make_interval(secs => $4)
    where name = $1 and holder = $2 and fencing = $3 returning true
"""
FREE_IN = "select extract(epoch from expires_at - clock_timestamp())::float8 from leases where name = $1"


class Lease:
    """The right to do the work of this name. Times are the database's, so clocks of hosts may differ."""

    def __init__(self, connections: Connections, name: str, *, ttl_seconds: float) -> None:
        self._connections = connections
        self._name = name
        self._ttl_seconds = ttl_seconds
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._sure_until = 0.0
        self.fencing = 0
        """Larger than that of every holder before: what a late holder writes can be told by it."""
        self.lost = asyncio.Event()
        """Set when somebody else may hold it."""

    async def take(self) -> bool:
        """Take it if it is free."""
        asked_at = time.monotonic()
        async with self._connections.connection() as conn:
            fencing = await conn.fetchval(TAKE, self._name, self._holder, self._ttl_seconds)
        if fencing is None:
            return False
        self.fencing, self._sure_until = fencing, asked_at + self._ttl_seconds
        self.lost.clear()
        return True

    async def free_in_seconds(self) -> float:
        """How long until it may be taken, unless its holder renews it."""
        async with self._connections.connection() as conn:
            return max(0.0, await conn.fetchval(FREE_IN, self._name) or 0.0)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it while the block runs. When that fails for too long `lost` is set; the block must then end."""
        renewals = asyncio.create_task(self._renew_for_ever())
        try:
            yield
        finally:
            await cancel(renewals)

    async def leave(self, *, free_in_seconds: float = 0.0) -> None:
        """Give it back, to be taken by anybody at once or only after a while."""
        try:
            async with self._connections.connection() as conn:
                await conn.execute(RENEW, self._name, self._holder, self.fencing, free_in_seconds)
        except (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED) as error:
            log.info("a lease could not be given back and will run out", lease=self._name, reason=str(error))

    async def _renew_for_ever(self) -> None:
        while not self.lost.is_set():
            await asyncio.sleep(self._ttl_seconds / RENEWALS_PER_TTL)
            await self._renew()

    async def _renew(self) -> None:
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._sure_until - asked_at), self._connections.connection() as conn:
                mine = await conn.fetchval(RENEW, self._name, self._holder, self.fencing, self._ttl_seconds)
        except (TimeoutError, DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED):
            mine = time.monotonic() < self._sure_until
        else:
            self._sure_until = asked_at + self._ttl_seconds
        if not mine:
            log.warning("a lease was lost", lease=self._name)
            self.lost.set()
