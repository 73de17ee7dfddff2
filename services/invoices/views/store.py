"""Reading invoices: what names the content of one, and the content with all that belongs to it."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.settlement.model import Receivable
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Fetching, Page, PageQuery, Sort, Where

NAME = """
    i.id, i.version, date_part('epoch', i.updated_at) as changed,
    (select r.email from recipients r where r.tenant_id = i.tenant_id and r.customer_id = i.customer_id) as email
"""
"""What names the content of an invoice (answers.py); asyncpg takes ten times as long for an instant as for a number."""

# the limits keep these a look-up for each: a join may read the whole table for the sake of two
NAME_SEVERAL = f"""
    select n.*, s.timezone from unnest($1::uuid[], $2::uuid[]) with ordinality u (tenant_id, id, o)
    left join lateral (
        select {NAME} from invoices i where i.tenant_id = u.tenant_id and i.id = u.id limit 1
    ) n on true
    left join lateral (select timezone from settings s where s.tenant_id = u.tenant_id limit 1) s on true
    order by u.o
"""
FIND_SEVERAL = f"""
    select n.*, w.timezone, w.invoice, w.lines, w.applications
    from unnest($1::uuid[], $2::uuid[]) with ordinality u (tenant_id, id, o)
    left join lateral (
        select {NAME} from invoices i where i.tenant_id = u.tenant_id and i.id = u.id limit 1
    ) n on true
    left join lateral (
        select * from whole_invoices w where w.tenant_id = u.tenant_id and w.id = u.id limit 1
    ) w on true
    order by u.o
"""
LIST = "select {name}{more}, (select s.timezone from settings s where s.tenant_id = $1) as timezone from invoices i"
SORTED = ", {expression} as sorted"
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


async def name_several(conn: Conn, wanted: Sequence[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    """What names the content of invoices by tenant and id, in the order asked for; id is null where there is none."""
    return await conn.fetch(NAME_SEVERAL, *_columns(wanted))


async def find_several(conn: Conn, wanted: Sequence[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    """The same, and the content."""
    return await conn.fetch(FIND_SEVERAL, *_columns(wanted))


async def page(
    conn: Fetching, where: Where, query: PageQuery, *, count: str | None, content: bool
) -> Page[asyncpg.Record]:
    """What names the invoices of a piece of a list, and their content without lines and payments where wanted.

    `count` is the statement of its total where counts are kept.
    """
    sort = SORTS.get(query.sort or "created_at", SORTS["created_at"])  # an unknown one is refused below
    more = (SORTED.format(expression=sort.expression) if query.by_cursor else "") + (CONTENT if content else "")
    select = LIST.format(name=NAME, more=more)
    return await pages.fetch(conn, select, where, query, sorts=SORTS, count=count, id_expression="i.id")


async def timezone(conn: Conn, tenant_id: UUID) -> str | None:
    """The time zone that the tenant set for invoicing."""
    zone: str | None = await conn.fetchval("select timezone from settings where tenant_id = $1", tenant_id)
    return zone


def _columns(wanted: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [tenant_id for tenant_id, _ in wanted], [invoice_id for _, invoice_id in wanted]


def listed(row: asyncpg.Record) -> Receivable:
    """The invoice of a row of a list."""
    email = msgspec.json.encode(row["email"]).decode()
    return _decoder.decode(f'{row["invoice"][:-1]},"email":{email}}}')
