"""Quick statements of concurrent requests that differ in their values only, as one statement (docs/performance.md).

Measured: a list of invoices costs the service a third less, since a round trip and a connection are shared.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shared.combining import Combiner
from shared.db import Conn, Database

TYPES: tuple[tuple[type, str], ...] = (
    (UUID, "uuid"),
    (str, "text"),
    (int, "bigint"),
    (datetime, "timestamptz"),
    (date, "date"),
)
"""The types of values that can travel together."""

_PARAMETER = re.compile(r"\$(\d+)")


class Asked(NamedTuple):
    """A statement with its values."""

    statement: str
    values: tuple[object, ...]


class Together:
    """Reads for which nobody waits long: each waits for those that it travels with."""

    def __init__(self, database: Database) -> None:
        self._fetch: Combiner[Asked, Sequence[asyncpg.Record]] = Combiner(database, _fetch)

    async def fetch(self, query: str, *args: object) -> Sequence[asyncpg.Record]:
        """The rows of a statement; it has parameters, and no dollar sign but theirs."""
        return await self._fetch.submit(Asked(query, args))


async def _fetch(conn: Conn, asked: Sequence[Asked]) -> list[Sequence[asyncpg.Record]]:
    alike: dict[tuple[str, tuple[str, ...] | None], list[int]] = {}
    for place, one in enumerate(asked):
        alike.setdefault((one.statement, _types(one.values)), []).append(place)
    found: list[Sequence[asyncpg.Record]] = [()] * len(asked)
    for (statement, types), places in alike.items():
        rows = await _fetch_alike(conn, statement, types, [asked[place].values for place in places])
        for place, own in zip(places, rows, strict=True):
            found[place] = own
    return found


async def _fetch_alike(
    conn: Conn, statement: str, types: tuple[str, ...] | None, asked: Sequence[tuple[object, ...]]
) -> list[Sequence[asyncpg.Record]]:
    if types is None or len(asked) == 1:
        return [await conn.fetch(statement, *values) for values in asked]
    found: list[list[asyncpg.Record]] = [[] for _ in asked]
    for row in await conn.fetch(_for_each(statement, types), *zip(*asked, strict=True)):
        found[row["asked"] - 1].append(row)
    return list(found)


@lru_cache(maxsize=256)
def _for_each(statement: str, types: tuple[str, ...]) -> str:
    """The statement for each of several rows of values; a lateral select keeps its order, and is not merged."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
    names = ", ".join(f"p{number}" for number in range(1, len(types) + 1))
    own = _PARAMETER.sub(r"asking.p\1", statement)
    return f"""
        select found.*, asking.asked from unnest({arrays}) with ordinality asking ({names}, asked)
        cross join lateral (select * from ({own}) own offset 0) found
    """


def _types(values: Sequence[object]) -> tuple[str, ...] | None:
    """Types of the values; None where one cannot travel."""
    found = [next((name for kind, name in TYPES if isinstance(value, kind)), None) for value in values]
    return tuple(name for name in found if name) if all(found) else None
