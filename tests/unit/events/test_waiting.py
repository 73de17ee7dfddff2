"""Pauses between tries, and waits that a stop can end."""

import asyncio
from itertools import islice

import pytest

from shared.retry import pauses
from shared.stopping import cancel, either, pause, unless


def test_pauses_double_up_to_the_most_and_never_end() -> None:
    seconds = list(islice(pauses(first_seconds=1, most_seconds=8), 100))

    for actual, expected in zip(seconds, [1, 2, 4, *[8] * 97], strict=True):
        assert expected * 0.8 <= actual <= expected * 1.2


async def test_a_pause_ends_by_itself_or_with_the_event() -> None:
    stopping = asyncio.Event()
    assert not await pause(0.01, stopping)
    stopping.set()
    assert await pause(3600, stopping)


async def test_unless_gives_the_result_of_work_that_ends_first() -> None:
    async def work() -> str:
        return "done"

    assert await unless(asyncio.Event(), work()) == "done"


async def test_unless_cancels_work_that_a_stop_overtakes() -> None:
    ended: list[str] = []

    async def work() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")
        return "done"

    stopping = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stopping.set)

    assert await unless(stopping, work()) is None
    assert ended == ["cancelled"]


async def test_unless_raises_what_the_work_raises() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless(asyncio.Event(), work())


@pytest.mark.parametrize("which", [0, 1])
async def test_either_is_set_as_soon_as_one_is(which: int) -> None:
    both = (asyncio.Event(), asyncio.Event())
    async with either(*both) as over, asyncio.timeout(10):
        assert not over.is_set()
        both[which].set()
        await over.wait()


async def test_cancel_waits_for_the_end_whatever_it_is() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise ZeroDivisionError from None

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel(task)

    assert isinstance(task.exception(), ZeroDivisionError)
