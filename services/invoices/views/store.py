"""Reading invoices: what names the content of one, and the content with all that belongs to it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.settlement.model import Receivable
from services.invoices.settlement.store import receivable
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

# the limit keeps this a look-up for each: a join may read the whole table for the sake of two
NAME_SEVERAL = """
    select i.version, i.updated_at, i.email, i.timezone
    from unnest($1::uuid[], $2::uuid[]) with ordinality u (tenant_id, id, o)
    left join lateral (
        select i.version, i.updated_at,
            (
                select r.email from recipients r where r.tenant_id = i.tenant_id and r.customer_id = i.customer_id
            ) as email,
            (select s.timezone from settings s where s.tenant_id = i.tenant_id) as timezone
        from invoices i where i.tenant_id = u.tenant_id and i.id = u.id limit 1
    ) i on true
    order by u.o
"""
FIND_SEVERAL = """
    select w.invoice, w.email, w.lines, w.applications, w.timezone
    from unnest($1::uuid[], $2::uuid[]) with ordinality u (tenant_id, id, o)
    left join lateral (select * from whole_invoices i where i.tenant_id = u.tenant_id and i.id = u.id limit 1) w on true
    order by u.o
"""
LIST = """
    select i.id, i.version, i.updated_at, {expression} as sorted,
        (select r.email from recipients r where r.tenant_id = i.tenant_id and r.customer_id = i.customer_id) as email,
        (select s.timezone from settings s where s.tenant_id = $1) as timezone{more}
    from invoices i
"""
CONTENT = ", invoice_json(i) as invoice"
SORTS = {
    "created_at": Sort("i.created_at", datetime, "sorted"),
    "issue_date": Sort("i.issue_date", date, "sorted"),
    "due_date": Sort("i.due_date", date, "sorted"),
    "amount": Sort("i.amount_cents", int, "sorted"),
    "amount_due": Sort("i.amount_due_cents", int, "sorted"),
    "invoice_number": Sort("coalesce(i.invoice_number, '')", str, "sorted"),
}

_decoder = msgspec.json.Decoder(Receivable)


class Found(NamedTuple):
    """An invoice with its lines and payments, and the time zone that the tenant set for invoicing."""

    invoice: Receivable
    timezone: str | None


class Named(NamedTuple):
    """What names the content of an invoice, and the time zone that the tenant set for invoicing."""

    id: UUID
    version: int
    updated_at: datetime
    email: str | None
    timezone: str | None


class Listed(NamedTuple):
    """A row of a list; the invoice, without lines and payments, only where it was asked for."""

    named: Named
    invoice: Receivable | None


async def name_several(conn: Conn, wanted: Sequence[tuple[UUID, UUID]]) -> list[Named | None]:
    """What names the content of invoices by tenant and id, in the order asked for; None where there is none."""
    rows = await conn.fetch(NAME_SEVERAL, *_columns(wanted))
    return [
        None if row["version"] is None else Named(invoice_id, *row)
        for (_, invoice_id), row in zip(wanted, rows, strict=True)
    ]


async def find_several(conn: Conn, wanted: Sequence[tuple[UUID, UUID]]) -> list[Found | None]:
    """Invoices by tenant and id, in the order asked for; None where there is none."""
    rows = await conn.fetch(FIND_SEVERAL, *_columns(wanted))
    return [None if row["invoice"] is None else Found(receivable(row), row["timezone"]) for row in rows]


async def page(conn: Conn, where: Where, query: PageQuery, *, count: str | None, content: bool) -> Page[Listed]:
    """A piece of a list; `count` is the statement of its total where counts are kept."""
    sort = SORTS.get(query.sort or "created_at", SORTS["created_at"])  # an unknown one is refused below
    select = LIST.format(expression=sort.expression, more=CONTENT if content else "")
    found = await pages.fetch(conn, select, where, query, sorts=SORTS, count=count, id_expression="i.id")
    return found.map(_listed)


async def timezone(conn: Conn, tenant_id: UUID) -> str | None:
    """The time zone that the tenant set for invoicing."""
    zone: str | None = await conn.fetchval("select timezone from settings where tenant_id = $1", tenant_id)
    return zone


def _columns(wanted: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [tenant_id for tenant_id, _ in wanted], [invoice_id for _, invoice_id in wanted]


def _listed(row: asyncpg.Record) -> Listed:
    named = Named(row["id"], row["version"], row["updated_at"], row["email"], row["timezone"])
    text = row.get("invoice")
    if text is None:
        return Listed(named, None)
    email = msgspec.json.encode(named.email).decode()
    return Listed(named, _decoder.decode(f'{text[:-1]},"email":{email}}}'))
