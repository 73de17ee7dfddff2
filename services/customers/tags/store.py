"""Rows of tags and of their links to customers."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.customers.tags.errors import TagNameTaken
from services.customers.tags.model import DEFAULT_COLOR, Tag, TagListed
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.ids import uuid7

_COUNT = (
    "(select count(*) from customer_tags l where l.tenant_id = t.tenant_id and l.tag_id = t.id)::int as customer_count"
)
_IDS = (
    "array(select l.customer_id from customer_tags l where l.tenant_id = t.tenant_id and l.tag_id = t.id"
    " order by l.customer_id) as customer_ids"
)
SORTS = {
    "created_at": Sort("t.created_at", datetime),
    "name": Sort("lower(t.name)", str, "sort_name"),
}


async def find(conn: Conn, tenant_id: UUID, tag_id: UUID, *, lock: bool = False) -> Tag | None:
    """One tag with its customers."""
    suffix = " for update of t" if lock else ""
    row = await conn.fetchrow(
        f"select t.*, {_COUNT}, {_IDS} from tags t where t.tenant_id = $1 and t.id = $2{suffix}",
        tenant_id,
        tag_id,
    )
    return msgspec.convert({**row}, Tag) if row else None


async def list_page(conn: Conn, tenant_id: UUID, query: PageQuery) -> Page[TagListed]:
    """One piece of the list."""
    select = f"select t.*, lower(t.name) as sort_name, {_COUNT} from tags t"
    page = await pages.fetch(conn, select, Where("t.tenant_id", tenant_id), query, sorts=SORTS, id_expression="t.id")
    return page.map(lambda row: msgspec.convert({**row}, TagListed))


async def insert(conn: Conn, tenant_id: UUID, *, name: str, color: str, now: datetime) -> UUID:
    """Make a tag; raises TagNameTaken."""
    tag_id: UUID | None = await conn.fetchval(
        "insert into tags (tenant_id, id, name, color, version, created_at, updated_at)"
        " values ($1, $2, $3, $4, 1, $5, $5) on conflict (tenant_id, lower(name)) do nothing returning id",
        tenant_id,
        uuid7(),
        name,
        color,
        now,
    )
    if tag_id is None:
        raise TagNameTaken(name=name, field="name")
    return tag_id


async def update(conn: Conn, tenant_id: UUID, tag_id: UUID, *, name: str, color: str, now: datetime) -> None:
    """Change a tag; raises TagNameTaken."""
    try:
        await conn.execute(
            "update tags set name = $3, color = $4, version = version + 1, updated_at = $5"
            " where tenant_id = $1 and id = $2",
            tenant_id,
            tag_id,
            name,
            color,
            now,
        )
    except asyncpg.UniqueViolationError:
        raise TagNameTaken(name=name, field="name") from None


async def delete(conn: Conn, tenant_id: UUID, tag_id: UUID) -> None:
    """Remove a tag and its links."""
    await conn.execute("delete from tags where tenant_id = $1 and id = $2", tenant_id, tag_id)


async def ensure(conn: Conn, tenant_id: UUID, names: Sequence[str], *, now: datetime) -> list[asyncpg.Record]:
    """The tags of these names, made where they are missing."""
    await conn.execute(
        "insert into tags (tenant_id, id, name, color, version, created_at, updated_at)"
        " select $1, n.id, n.name, $4, 1, $5, $5 from unnest($2::uuid[], $3::text[]) n(id, name)"
        " on conflict (tenant_id, lower(name)) do nothing",
        tenant_id,
        [uuid7() for _ in names],
        list(names),
        DEFAULT_COLOR,
        now,
    )
    return await conn.fetch(
        "select id, name, color from tags where tenant_id = $1"
        " and lower(name) in (select lower(n) from unnest($2::text[]) n)",
        tenant_id,
        list(names),
    )


async def by_ids(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """The tags of these ids."""
    return await conn.fetch(
        "select id, name, color from tags where tenant_id = $1 and id = any($2)", tenant_id, list(ids)
    )


async def link(conn: Conn, tenant_id: UUID, tag_ids: Sequence[UUID], customer_ids: Sequence[UUID]) -> set[UUID]:
    """Hang tags on customers; returns the customers that were changed."""
    rows = await conn.fetch(
        "insert into customer_tags (tenant_id, customer_id, tag_id)"
        " select $1, c, t from unnest($2::uuid[]) c cross join unnest($3::uuid[]) t"
        " on conflict do nothing returning customer_id",
        tenant_id,
        list(customer_ids),
        list(tag_ids),
    )
    return {row["customer_id"] for row in rows}


async def unlink(conn: Conn, tenant_id: UUID, tag_ids: Sequence[UUID], customer_ids: Sequence[UUID]) -> set[UUID]:
    """Take tags off customers; returns the customers that were changed."""
    rows = await conn.fetch(
        "delete from customer_tags where tenant_id = $1 and customer_id = any($2) and tag_id = any($3)"
        " returning customer_id",
        tenant_id,
        list(customer_ids),
        list(tag_ids),
    )
    return {row["customer_id"] for row in rows}


async def replace_tags(conn: Conn, tenant_id: UUID, customer_id: UUID, tag_ids: Sequence[UUID]) -> None:
    """Make a customer's tags just these."""
    await conn.execute(
        "delete from customer_tags where tenant_id = $1 and customer_id = $2 and tag_id <> all($3)",
        tenant_id,
        customer_id,
        list(tag_ids),
    )
    await conn.execute(
        "insert into customer_tags (tenant_id, customer_id, tag_id) select $1, $2, unnest($3::uuid[])"
        " on conflict do nothing",
        tenant_id,
        customer_id,
        list(tag_ids),
    )
