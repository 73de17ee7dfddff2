"""Rows of templates: each tenant's own, and the system's under a tenant that nobody can be."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.notifier.templates.model import Stage, Template
from services.notifier.templates.system import SYSTEM_TENANT
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

COLUMNS = "id, name, type, template_stage, subject, html, text, is_system, version, created_at, updated_at"
SORTS = {
    "created_at": Sort("created_at", datetime),
    "name": Sort("name", str),
    "template_stage": Sort("template_stage", str),
}


async def page(
    conn: Conn, tenant_id: UUID, query: PageQuery, *, stages: Sequence[Stage] | None, is_system: bool | None
) -> Page[Template]:
    """One piece of the list: the tenant's own and the system's."""
    where = Where("type", "email")
    where.add("tenant_id = any(?)", [tenant_id, SYSTEM_TENANT])
    if stages is not None:
        where.add("template_stage = any(?)", list(stages))
    if is_system is not None:
        where.add("is_system = ?", is_system)
    rows = await pages.fetch(conn, f"select {COLUMNS} from templates", where, query, sorts=SORTS)
    return rows.map(lambda row: msgspec.convert(row, Template))


async def find(conn: Conn, tenant_id: UUID, template_id: UUID) -> Template | None:
    """A template that the tenant can use."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from templates where tenant_id = any($1) and id = $2",
        [tenant_id, SYSTEM_TENANT],
        template_id,
    )
    return _template(row)


async def lock(conn: Conn, tenant_id: UUID, template_id: UUID) -> Template | None:
    """A template of the tenant's own, kept from changing until the transaction ends."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from templates where tenant_id = $1 and id = $2 for update", tenant_id, template_id
    )
    return _template(row)


def _template(row: asyncpg.Record | None) -> Template | None:
    return None if row is None else msgspec.convert(row, Template)


async def count(conn: Conn, tenant_id: UUID) -> int:
    """How many templates the tenant has of its own."""
    found: int = await conn.fetchval("select count(*) from templates where tenant_id = $1", tenant_id)
    return found


async def save(conn: Conn, tenant_id: UUID, template: Template) -> None:
    """Store a new or changed template."""
    await conn.execute(
        f"""insert into templates (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (tenant_id, id) do update set name = excluded.name, template_stage = excluded.template_stage,
                subject = excluded.subject, html = excluded.html, text = excluded.text, version = excluded.version,
                updated_at = excluded.updated_at""",
        tenant_id,
        template.id,
        template.name,
        template.type,
        template.template_stage,
        template.subject,
        template.html,
        template.text,
        template.is_system,
        template.version,
        template.created_at,
        template.updated_at,
    )


async def delete(conn: Conn, tenant_id: UUID, template_id: UUID) -> None:
    """Remove a template."""
    await conn.execute("delete from templates where tenant_id = $1 and id = $2", tenant_id, template_id)


async def schedule_using(conn: Conn, tenant_id: UUID, template_id: UUID) -> str | None:
    """The name of a dunning schedule with this template in one of its steps."""
    name: str | None = await conn.fetchval(
        """select name from dunning_schedules
           where tenant_id = $1 and steps @> jsonb_build_array(jsonb_build_object('template_id', $2::text)) limit 1""",
        tenant_id,
        str(template_id),
    )
    return name
