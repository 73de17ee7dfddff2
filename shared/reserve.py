"""A connection kept apart from the pool, for work that must go on while requests exhaust the pool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from shared.db import Conn


class Connections(Protocol):
    """Where a connection for a statement comes from: the pool, or a reserve."""

    def connection(self) -> AbstractAsyncContextManager[Conn]: ...


class Reserve:
    """One connection, lent to one at a time."""

    def __init__(self, conn: Conn) -> None:
        self._conn = conn
        self._lent = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Conn]:
        async with self._lent:
            yield self._conn
