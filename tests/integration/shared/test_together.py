"""Statements that differ in their values only travel together, and each gets its own rows (shared/together.py)."""

import asyncio
from datetime import UTC, date, datetime
from uuid import uuid4

import asyncpg
import pytest

from shared.db import Database
from shared.together import Together

COUNTDOWN = "select n, (select $2::text) as name from generate_series(1, $1::bigint) n order by n desc limit 3"


async def test_each_gets_its_own_rows_in_their_order(database: Database) -> None:
    together = Together(database)

    found = await asyncio.gather(*(together.fetch(COUNTDOWN, n, f"of {n}") for n in range(100)))

    for n, rows in enumerate(found):
        assert [(row["n"], row["name"]) for row in rows] == [(i, f"of {n}") for i in range(n, max(0, n - 3), -1)]


async def test_different_statements_and_values_that_cannot_travel_are_answered_as_well(database: Database) -> None:
    together = Together(database)
    day, instant, some_id = date(2026, 2, 3), datetime(2026, 2, 3, 4, tzinfo=UTC), uuid4()

    found = await asyncio.gather(
        *(together.fetch("select $1::date as it", day) for _ in range(5)),
        *(together.fetch("select $1::timestamptz as it", instant) for _ in range(5)),
        *(together.fetch("select $1::uuid as it", some_id) for _ in range(5)),
        *(together.fetch("select $1::text[] as it", ["a", "b"]) for _ in range(5)),
    )

    assert [row["it"] for rows in found for row in rows] == [day] * 5 + [instant] * 5 + [some_id] * 5 + [["a", "b"]] * 5


async def test_a_statement_that_fails_fails_alone(database: Database) -> None:
    together = Together(database)

    results = await asyncio.gather(
        *(together.fetch("select 100 / $1::bigint as it", n) for n in (1, 2, 0, 4, 5)), return_exceptions=True
    )

    assert isinstance(results[2], asyncpg.DivisionByZeroError)
    assert [rows[0]["it"] for rows in results if not isinstance(rows, BaseException)] == [100, 50, 25, 20]


@pytest.mark.parametrize("value", [None, 1.5])
async def test_values_without_a_type_of_their_own_are_sent_alone(database: Database, value: object) -> None:
    together = Together(database)

    found = await asyncio.gather(*(together.fetch("select $1::float8 as it", value) for _ in range(5)))

    assert [rows[0]["it"] for rows in found] == [value] * 5
