"""The workers that import bank files. A file is claimed, read as a stream, and taken in batch by batch.

A batch commits together with how far the file is, so a process may die at any point: whoever claims the file next reads
it again, passes over what is done, and goes on.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, cast

import structlog

from services.payments.imports import actions, store
from services.payments.imports.actions import Batch
from services.payments.imports.formats import detect
from services.payments.imports.formats.rows import Rejected, Row, Unreadable
from services.payments.imports.model import Work
from shared import clock
from shared.db import CONTENDED, EXHAUSTED, LOST, DatabaseAway
from shared.stopping import cancel, either, pause

if TYPE_CHECKING:
    from shared.app import Runtime

log = structlog.get_logger(__name__)

BATCH_ROWS = 1000
POLL_SECONDS = 1.0
RETRY_SECONDS = 2.0
MAX_FRUITLESS_CLAIMS = 5
GIVEN_UP = "something went wrong on our side each time the file was tried; the operator's log says what"

Rows = Iterator[Row | Rejected]


class Waker:
    """Tells the workers of this process that a file has come; they also look by themselves."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def ring(self) -> None:
        """Say that there is work."""
        self.rung.set()


@asynccontextmanager
async def waker(_: "Runtime") -> AsyncIterator[Waker]:
    """The one waker of a process."""
    yield Waker()


async def import_files(runtime: "Runtime", stopping: asyncio.Event) -> None:
    """Import files, one at a time, until the process stops."""
    while not stopping.is_set():
        try:
            is_busy = await import_next(runtime, stopping)
        except (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED) as error:
            log.warning("an import waits for the database", reason=str(error))
            await pause(RETRY_SECONDS, stopping)
        except Exception:
            log.exception("an import failed")
            await pause(RETRY_SECONDS, stopping)
        else:
            if not is_busy:
                await wait_for_work(runtime.use(Waker), stopping)


async def wait_for_work(bell: Waker, stopping: asyncio.Event) -> None:
    """Wait until somebody rings, or a little."""
    async with either(bell.rung, stopping) as over:
        await pause(POLL_SECONDS, over)
    bell.rung.clear()


async def import_next(runtime: "Runtime", stopping: asyncio.Event) -> bool:
    """Import the file that has waited longest; False when none waits."""
    async with runtime.database.transaction() as conn:
        work = await store.claim(conn)
    if work is None:
        return False
    if work.fruitless_claims > MAX_FRUITLESS_CLAIMS:
        await finish(runtime, work, GIVEN_UP)
        return True
    await import_file(runtime, work, stopping)
    return True


async def import_file(runtime: "Runtime", work: Work, stopping: asyncio.Event) -> None:
    """Import what is left of a file."""
    async with spooled(runtime, work) as file, held(runtime, work):
        rows = detect.rows(file, work.format, work.mapping)
        await pass_over(work, rows)
        done_rows = work.rows
        async with aclosing(batches(work, file, rows)) as found:
            async for batch in found:
                if stopping.is_set():
                    await release(runtime, work)
                    return
                if not await take_in(runtime, work, batch, done_rows):
                    return
                done_rows += batch.rows
    await finish(runtime, work, batch.error)


@asynccontextmanager
async def spooled(runtime: "Runtime", work: Work) -> AsyncIterator[BinaryIO]:
    """The bytes of a file in a temporary one, where parsers can seek."""
    with tempfile.TemporaryFile() as file:
        async with runtime.database.connection() as conn:
            async for content in store.chunks(conn, work):
                file.write(content)
        yield cast("BinaryIO", file)


@asynccontextmanager
async def held(runtime: "Runtime", work: Work) -> AsyncIterator[None]:
    """Hold on to the claim while the block runs, also where reading takes long."""
    holding = asyncio.create_task(hold(runtime, work))
    try:
        yield
    finally:
        await cancel(holding)


async def hold(runtime: "Runtime", work: Work) -> None:
    """Renew a claim until somebody else has it."""
    is_ours = True
    while is_ours:
        await asyncio.sleep(store.CLAIM_SECONDS / 3)
        async with runtime.database.transaction() as conn:
            is_ours = await store.keep(conn, work)


async def pass_over(work: Work, rows: Rows) -> None:
    """Read past the rows that an earlier claim has imported."""
    left = work.rows
    while left > 0:
        left -= len(await asyncio.to_thread(list, islice(rows, min(left, BATCH_ROWS))))


async def batches(work: Work, file: BinaryIO, rows: Rows) -> AsyncGenerator[Batch, None]:
    """Read the file in threads, a batch ahead, so that neither the database waits nor those who send requests."""
    ahead = asyncio.ensure_future(asyncio.to_thread(read_batch, work, file, rows))
    try:
        while not (batch := await ahead).is_last:
            ahead = asyncio.ensure_future(asyncio.to_thread(read_batch, work, file, rows))
            yield batch
        yield batch
    finally:
        await asyncio.wait({ahead})  # the file may only be closed when nobody reads it


def read_batch(work: Work, file: BinaryIO, rows: Rows) -> Batch:
    """Read some rows. What was read before the file became unreadable counts."""
    items: list[Row | Rejected] = []
    error = None
    try:
        items.extend(islice(rows, BATCH_ROWS))
    except Unreadable as reason:
        error = str(reason)
    return Batch(
        rows=len(items),
        payments=actions.prepared(work, [item for item in items if isinstance(item, Row)], now=clock.now()),
        rejections=[(place, item) for place, item in enumerate(items) if isinstance(item, Rejected)],
        read_bytes=file.tell(),
        is_last=error is not None or len(items) < BATCH_ROWS,
        error=error,
    )


async def take_in(runtime: "Runtime", work: Work, batch: Batch, done_rows: int) -> bool:
    """Import one batch in one transaction."""
    async with runtime.database.transaction() as conn:
        return await actions.take_in(conn, work, batch, done_rows=done_rows, now=clock.now())


async def release(runtime: "Runtime", work: Work) -> None:
    """Let another process go on, since this one stops."""
    async with runtime.database.transaction() as conn:
        await store.release(conn, work)


async def finish(runtime: "Runtime", work: Work, error: str | None) -> None:
    """End an import."""
    async with runtime.database.transaction() as conn:
        await store.finish(conn, work, error, clock.now())


WORKERS = (import_files, import_files)
"""Two in a process, so that a long file does not keep a short one waiting."""
