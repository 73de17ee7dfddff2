"""Requests that wait at the same time share a statement, and nothing else (shared/combining.py)."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from shared import combining, db
from shared.combining import MAX_BATCH, Combiner
from shared.db import Conn, Database


class Halver:
    """Divides 100 by each item in one statement; a zero makes the whole statement fail."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def work(self, conn: Conn, items: Sequence[int]) -> list[int]:
        self.batches.append(len(items))
        rows = await conn.fetch("select 100 / n as quotient from unnest($1::int[]) with ordinality u (n, o)", items)
        return [row["quotient"] for row in rows]


async def test_everybody_gets_the_result_of_their_own_item(database: Database) -> None:
    halver = Halver()
    combiner = Combiner(database, halver.work)

    results = await asyncio.gather(*(combiner.submit(n) for n in range(1, 201)))

    assert results == [100 // n for n in range(1, 201)]
    assert max(halver.batches) <= MAX_BATCH
    assert len(halver.batches) < 200


async def test_who_comes_alone_goes_alone(database: Database) -> None:
    halver = Halver()
    combiner = Combiner(database, halver.work)

    assert [await combiner.submit(n) for n in (5, 10)] == [20, 10]
    assert halver.batches == [1, 1]


async def test_a_bad_item_does_not_fail_its_neighbours(database: Database) -> None:
    combiner = Combiner(database, Halver().work)

    results = await asyncio.gather(*(combiner.submit(n) for n in (1, 2, 0, 4, 5)), return_exceptions=True)

    assert results[:2] == [100, 50]
    assert isinstance(results[2], asyncpg.DivisionByZeroError)
    assert results[3:] == [25, 20]


async def test_who_stops_waiting_does_not_disturb_the_others(database: Database) -> None:
    combiner = Combiner(database, Halver().work)
    waiting = [asyncio.create_task(combiner.submit(n)) for n in range(1, 10)]
    await asyncio.sleep(0)

    waiting[3].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[3], asyncio.CancelledError)
    assert [result for i, result in enumerate(results) if i != 3] == [100 // n for n in range(1, 10) if n != 4]


async def test_nothing_is_done_for_who_has_gone_before_it_was_sent(database: Database) -> None:
    done: list[int] = []

    async def work(_: Conn, items: Sequence[int]) -> list[int]:
        done.extend(items)
        return list(items)

    combiner = Combiner(database, work)
    waiting = [asyncio.create_task(combiner.submit(n)) for n in range(4)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert sorted(done) == [0, 1, 3]


async def test_nothing_is_sent_again_when_the_server_went_away_in_mid_statement(
    database: Database, database_url: str
) -> None:
    sent: list[int] = []

    async def work(conn: Conn, items: Sequence[int]) -> list[int]:
        sent.append(len(items))
        if len(items) > 1:
            await _end_session(database_url, await conn.fetchval("select pg_backend_pid()"))
        return [await conn.fetchval("select 1") for _ in items]

    combiner = Combiner(database, work)
    results = await asyncio.gather(*(combiner.submit(n) for n in range(5)), return_exceptions=True)

    assert sent == [5]
    assert all(isinstance(result, db.LOST) for result in results)


async def _end_session(database_url: str, pid: int) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute("select pg_terminate_backend($1)", pid)
    finally:
        await owner.close()


async def test_each_statement_says_that_it_committed(database: Database) -> None:
    commits: list[None] = []
    database.on_commit.append(lambda: commits.append(None))

    with pytest.raises(asyncpg.DivisionByZeroError):
        await Combiner(database, Halver().work).submit(0)
    await Combiner(database, Halver().work).submit(1)

    assert len(commits) == 1


async def test_who_is_answered_and_asks_again_at_once_is_answered_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one flusher: where there are more, all must end in the same moment to forget somebody."""
    monkeypatch.setattr(combining, "MAX_FLUSHERS", 1)
    combiner = Combiner(database, Halver().work)

    async with asyncio.timeout(10):
        assert [await combiner.submit(n) for n in (5, 10)] == [20, 10]
