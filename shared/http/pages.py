"""Lists: one result set, read by pages or by cursors (docs/api.md, pagination).

Pages come with an exact total. Cursors hold the sort value and id of a row, so that reading on costs the same
everywhere in the list and rows that are inserted meanwhile shift nothing.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from shared.errors import FieldError, InvalidQuery

DEFAULT_SIZE = 25
T = TypeVar("T")
U = TypeVar("U")


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters that every list takes."""

    page: Annotated[int, Meta(ge=1, le=10_000_000, description="number of the page, from 1")] | None = None
    per_page: Annotated[int, Meta(ge=1, le=100, description="rows on a page")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="rows to return, with cursors")] | None = None
    after: Annotated[str, Meta(max_length=1000, description="the `end_cursor` of the rows before")] | None = None
    before: Annotated[str, Meta(max_length=1000, description="the `start_cursor` of the rows after")] | None = None
    sort: Annotated[str, Meta(max_length=50, description="field to sort by")] | None = None
    order: Annotated[Literal["asc", "desc"], Meta(description="direction; newest first by default")] | None = None

    @property
    def by_cursor(self) -> bool:
        """Whether the caller reads by cursors rather than by pages."""
        return self.limit is not None or self.after is not None or self.before is not None


class Sort(msgspec.Struct, frozen=True):
    """A way to sort: a constant SQL expression that is never null, the type of its values, and the column of the row
    that holds them (by default the one named like the sort)."""

    expression: str
    kind: Any
    column: str | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One piece of a list and the `pagination` that goes out with it."""

    rows: Sequence[T]
    pagination: dict[str, object]

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        """The same piece with each row turned into something else."""
        return Page([function(row) for row in self.rows], self.pagination)


class Fetching(Protocol):
    """What reads rows: a connection, or something that lets several share one."""

    async def fetch(self, query: str, *args: object) -> Sequence[asyncpg.Record]:
        """The rows of a statement."""


class Where:
    """The conditions of a list: constant SQL texts in which each `?` becomes the next bound parameter."""

    def __init__(self, column: str, value: object) -> None:
        self.sql = ""
        """The whole condition."""
        self.arguments: list[object] = []
        self.add(f"{column} = ?", value)

    def add(self, condition: str, *values: object) -> None:
        """Narrow the list; the text is a constant of our own, the values are bound."""
        assert condition.count("?") == len(values), condition
        for value in values:
            self.arguments.append(value)
            condition = condition.replace("?", f"${len(self.arguments)}", 1)
        self.sql += f" and ({condition})" if self.sql else f"({condition})"


async def fetch(
    conn: Fetching,
    select: str,
    where: Where,
    query: PageQuery,
    *,
    sorts: Mapping[str, Sort],
    default: str = "created_at",
    count: str | None = None,
    id_expression: str = "id",
) -> Page[asyncpg.Record]:
    """Read one piece of a list.

    `select` is `select … from …` without a where. `sorts` names what may be sorted by, `default` which of them is
    used, descending, when the caller names none. `count` is a cheaper statement for the total with the same bound
    parameters; it travels with the rows, as their column `total_rows`. Raises InvalidQuery for mixed styles, an unknown
    sort and a foreign cursor.
    """
    _refuse_mixed(query)
    name = query.sort or default
    if name not in sorts:
        raise InvalidQuery([FieldError(field="sort", message=f"must be one of {', '.join(sorts)}")])
    order = query.order or ("asc" if query.sort and query.sort != "created_at" else "desc")
    listing = _Listing(conn, select, where, sorts[name], name, order, id_expression)
    if query.by_cursor:
        return await listing.by_cursor(query)
    return await listing.by_page(query, count)


def _refuse_mixed(query: PageQuery) -> None:
    if query.by_cursor and (query.page is not None or query.per_page is not None):
        raise InvalidQuery([FieldError(field="page", message="pages and cursors cannot be mixed in one request")])
    if query.after is not None and query.before is not None:
        raise InvalidQuery([FieldError(field="before", message="`after` and `before` cannot be mixed in one request")])


class _Listing(msgspec.Struct):
    conn: Fetching
    select: str
    where: Where
    sort: Sort
    name: str
    order: str
    id_expression: str

    async def by_page(self, query: PageQuery, count: str | None) -> Page[asyncpg.Record]:
        size, number = query.per_page or DEFAULT_SIZE, query.page or 1
        # numbers in the text: with a limit that it does not know PostgreSQL would plan the statement each time
        page = f"{self._ordered(self.where.sql, self.order)} limit {size}"
        arguments = self.where.arguments
        if number > 1:
            page, arguments = f"{page} offset ${len(arguments) + 1}", [*arguments, (number - 1) * size]
        if count is not None:  # a select from a sorted sub-select keeps its order
            page = f"select page.*, ({count}) as total_rows from ({page}) page"
        rows = await self.conn.fetch(page, *arguments)
        total = rows[0]["total_rows"] if rows and count is not None else await self._total(count)
        return Page(rows, {"page": number, "per_page": size, "total": total, "total_pages": -(-total // size)})

    async def _total(self, count: str | None) -> int:
        everything = f"select count(*) from ({self.select} where {self.where.sql}) as everything"
        total: int = (await self.conn.fetch(count or everything, *self.where.arguments))[0][0]
        return total

    async def by_cursor(self, query: PageQuery) -> Page[asyncpg.Record]:
        size = query.limit or DEFAULT_SIZE
        backward = query.before is not None
        order = {"asc": "desc", "desc": "asc"}[self.order] if backward else self.order
        condition, arguments = self.where.sql, list(self.where.arguments)
        cursor = query.before if backward else query.after
        if cursor is not None:
            value, row_id = self._decode(cursor, "before" if backward else "after")
            arguments += [value, row_id]
            sign = ">" if order == "asc" else "<"
            condition += (
                f" and ({self.sort.expression}, {self.id_expression}) {sign} (${len(arguments) - 1}, ${len(arguments)})"
            )
        rows = list(await self.conn.fetch(f"{self._ordered(condition, order)} limit {size + 1}", *arguments))
        more, rows = len(rows) > size, rows[:size]
        if backward:
            rows.reverse()
        return Page(rows, self._cursors(rows, more=more, cursor=cursor, backward=backward))

    def _ordered(self, condition: str, order: str) -> str:
        ordering = f"order by {self.sort.expression} {order}, {self.id_expression} {order}"
        return f"{self.select} where {condition} {ordering}"

    def _cursors(
        self, rows: Sequence[asyncpg.Record], *, more: bool, cursor: str | None, backward: bool
    ) -> dict[str, object]:
        return {
            "start_cursor": self._encode(rows[0]) if rows else None,
            "end_cursor": self._encode(rows[-1]) if rows else None,
            "has_next_page": cursor is not None if backward else more,
            "has_previous_page": more if backward else cursor is not None,
        }

    def _encode(self, row: asyncpg.Record) -> str:
        packed = msgspec.msgpack.encode([self.name, row[self.sort.column or self.name], row["id"]])
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def _decode(self, cursor: str, parameter: str) -> tuple[object, UUID]:
        try:
            packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            name, value, row_id = msgspec.msgpack.decode(packed, type=tuple[str, self.sort.kind, UUID])  # type: ignore[name-defined]  # the type is data here
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise _foreign(parameter) from None
        if name != self.name:
            raise _foreign(parameter)
        return value, row_id


def _foreign(parameter: str) -> InvalidQuery:
    return InvalidQuery([FieldError(field=parameter, message="is not a cursor of this list in this order")])
