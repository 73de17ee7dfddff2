"""Events as rows, and the weeks that they lie in."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.webhooks.log.model import Entry, first_id
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

SORTS = {"created_at": Sort("id", UUID, column="id")}
WEEKS_AHEAD = 8


async def put(conn: Conn, entries: Sequence[Entry]) -> None:
    """Store events; one that is there already stays as it is."""
    await conn.execute(
        """
        insert into events (tenant_id, id, type, subject, sequence, time, payload, traceparent)
        select * from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::timestamptz[], $7::text[],
            $8::text[])
        on conflict do nothing
        """,
        [entry.tenant_id for entry in entries],
        [entry.id for entry in entries],
        [entry.type for entry in entries],
        [entry.subject for entry in entries],
        [entry.sequence for entry in entries],
        [entry.time for entry in entries],
        [entry.payload for entry in entries],
        [entry.traceparent for entry in entries],
    )


async def payload(conn: Conn, tenant_id: UUID, event_id: UUID) -> str | None:
    """One event's body."""
    found = await conn.fetchval("select payload from events where tenant_id = $1 and id = $2", tenant_id, event_id)
    return None if found is None else str(found)


async def listed(
    conn: Conn,
    tenant_id: UUID,
    query: PageQuery,
    *,
    types: Sequence[str] | None,
    subject: UUID | None,
    start: datetime | None,
    end: datetime | None,
) -> Page[str]:
    """A tenant's events, as bodies."""
    where = Where("tenant_id", tenant_id)
    if types is not None:
        where.add("type = any(?::text[])", types)
    if subject is not None:
        where.add("subject = ?", subject)
    if start is not None:
        where.add("id >= ?", first_id(start))
    if end is not None:
        where.add("id < ?", first_id(end))
    page = await pages.fetch(conn, "select id, payload from events", where, query, sorts=SORTS)
    return page.map(lambda row: str(row["payload"]))


async def between(
    conn: Conn, tenant_id: UUID, *, start: datetime, end: datetime, types: Sequence[str], limit: int
) -> list[asyncpg.Record]:
    """The keys of events in a range of time, oldest first."""
    rows = await conn.fetch(
        """
        select id, type, subject, sequence from events
        where tenant_id = $1 and id >= $2 and id < $3 and type = any($4::text[]) order by id limit $5
        """,
        tenant_id,
        first_id(start),
        first_id(end),
        types,
        limit,
    )
    return list(rows)


async def keep_weeks(conn: Conn, keep_from: datetime) -> list[str]:
    """Make the partitions of the weeks to come and drop those before; returns the names of what was dropped."""
    rows = await conn.fetch("select keep_weeks($1, $2) as name", keep_from, WEEKS_AHEAD)
    return [row["name"] for row in rows]


async def sweep(conn: Conn, keep_from: datetime) -> None:
    """Remove what is too old but lay in no week's partition."""
    await conn.execute("delete from events_default where id < $1", first_id(keep_from))
