"""Combining what concurrent requests ask of the database into one statement (docs/performance.md).

At most two flushers run at a time, each with a connection. A request that comes alone is sent at once, alone, so
that nobody waits for company; those that come while both flushers are busy travel together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg

from shared.db import LOST, Conn, Database
from shared.errors import Unavailable

A = TypeVar("A")
B = TypeVar("B")

MAX_FLUSHERS = 2
MAX_BATCH = 64

Work = Callable[[Conn, Sequence[A]], Awaitable[list[B]]]


class Combiner(Generic[A, B]):
    """Hands items that wait at the same time to `work` together; each gets its own result, or its own error."""

    def __init__(self, database: Database, work: Work[A, B]) -> None:
        self._database = database
        self._work = work
        self._waiting: deque[tuple[A, asyncio.Future[B]]] = deque()
        self._busy = 0
        self._flushers: set[asyncio.Task[None]] = set()

    async def submit(self, item: A) -> B:
        """The result for one item, once its statement has committed."""
        result: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._busy < MAX_FLUSHERS:
            self._busy += 1
            flusher = asyncio.create_task(self._flush())
            self._flushers.add(flusher)
            flusher.add_done_callback(self._flushers.discard)
        return await result

    async def _flush(self) -> None:
        """Work until nobody waits any more.

        It counts as busy until it has seen so, and no longer: whoever is answered and comes again at once may find its
        task still there.
        """
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                # Who has gone may come again with the same Idempotency-Key, and both would be made in one statement.
                if batch := [(item, result) for item, result in batch if not result.done()]:
                    await self._send(batch)
        finally:
            self._busy -= 1

    async def _send(self, batch: list[tuple[A, "asyncio.Future[B]"]]) -> None:
        try:
            async with self._database.connection() as conn:
                results = await self._work(conn, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits for the result gets the error
            await self._fail(batch, error)
            return
        self._database.committed()
        for (_, waiting), result in zip(batch, results, strict=True):
            if not waiting.done():
                waiting.set_result(result)

    async def _fail(self, batch: list[tuple[A, "asyncio.Future[B]"]], error: Exception) -> None:
        """A bad item must not fail its neighbours: each is tried once more, alone.

        Not so when the server went away: whether it committed is unknown, so nobody's item may be sent again.
        """
        if len(batch) > 1 and not _away(error):
            for one in batch:
                await self._send([one])
            return
        for _, waiting in batch:
            if not waiting.done():
                waiting.set_exception(error)


def _away(error: Exception) -> bool:
    if isinstance(error, asyncpg.DataError):  # a wrong argument, though an InterfaceError by descent
        return False
    return isinstance(error, (*LOST, Unavailable))
