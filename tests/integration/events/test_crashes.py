"""Processes and servers that die at the wrong moment."""

import asyncio
import random
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from shared.ids import uuid7
from shared.testing import servers
from shared.testing.servers import Server
from tests.integration.events.town import Town, a_thing, a_town

ROOT = Path(__file__).parents[3]
SEED = 20261121


async def test_a_process_killed_between_commit_and_publish_loses_nothing(town: Town) -> None:
    async with _process("last_words", town.dsn) as process:
        assert await process.wait() == -signal.SIGKILL

    async with town.running():
        await town.heard(1)

    assert await town.names() == ["last words"]


async def test_a_relay_killed_again_and_again_loses_and_doubles_nothing(rabbit_town: Town) -> None:
    dice = random.Random(SEED)
    async with rabbit_town.running(relay=False):
        for _ in range(4):
            before = len(await rabbit_town.effects())
            async with _process("victim", rabbit_town.dsn, rabbit_town.bus_url) as process:
                await rabbit_town.heard(before + 1)
                await asyncio.sleep(dice.uniform(0, 0.3))
                process.kill()
                await process.wait()
            await _end_leases(rabbit_town)
    async with rabbit_town.running():
        made = await _made(rabbit_town)
        await rabbit_town.heard(len(made))
        await rabbit_town.sent()

    assert sorted(row["event_id"] for row in await rabbit_town.effects()) == sorted(made)


@pytest.fixture
def mortal() -> Iterator[Server]:
    with servers.private_postgres() as server:
        yield server


@pytest.fixture
async def mortal_town(mortal: Server, bus_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose database the test may kill."""
    async with a_town(mortal.url, bus_url, tmp_path, name=f"town_{uuid7().hex}") as made:
        yield made


async def test_a_database_that_crashes_in_the_middle_makes_no_dead_letters_and_loses_nothing(
    mortal_town: Town, mortal: Server
) -> None:
    await mortal_town.announce(*(a_thing(str(number)) for number in range(3000)))
    async with mortal_town.running():
        await mortal_town.heard(1)
        mortal.kill()
        await asyncio.sleep(0.5)
        mortal.start()
        await mortal_town.heard(3000)
        await mortal_town.sent()

    assert sorted(map(int, await mortal_town.names())) == list(range(3000))
    assert await mortal_town.dead() == []


async def _end_leases(town: Town) -> None:
    """Time flies: the leases of the dead are over."""
    async with town.orders.connection() as conn:
        await conn.execute("update leases set expires_at = now()")


async def _made(town: Town) -> list[UUID]:
    async with town.orders.connection() as conn:
        return [row["event_id"] for row in await conn.fetch("select event_id from made")]


@asynccontextmanager
async def _process(program: str, *arguments: str) -> AsyncIterator[Process]:
    module = f"tests.integration.events.{program}"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
