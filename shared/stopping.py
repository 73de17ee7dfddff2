"""Waiting that a stop can end: for every loop that runs as long as the process does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


async def pause(seconds: float, stopping: asyncio.Event) -> bool:
    """Sleep, but no longer than until the event is set; says whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True


async def unless(stopping: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """The result of the work, or None when the event was set first; then the work is cancelled."""
    task = asyncio.create_task(work)
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await cancel(stop, task)


@asynccontextmanager
async def either(*events: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set as soon as one of these is."""
    over = asyncio.Event()
    watchers = [asyncio.create_task(_pass_on(event, over)) for event in events]
    try:
        yield over
    finally:
        await cancel(*watchers)


async def cancel(*tasks: "asyncio.Task[T]") -> None:
    """Cancel tasks and wait until they have ended, whatever they ended with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(event: asyncio.Event, over: asyncio.Event) -> None:
    await event.wait()
    over.set()
