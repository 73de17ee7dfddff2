"""Reading invoices: one with all that belongs to it, and lists."""

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

SEVERAL = """
    select w.invoice, w.email, w.lines, w.applications, w.timezone
    from unnest($1::uuid[], $2::uuid[]) with ordinality u (tenant_id, id, o)
    left join lateral (select * from whole_invoices i where i.tenant_id = u.tenant_id and i.id = u.id) w on true
    order by u.o
"""
LIST = """
    select i.id, i.created_at, i.issue_date, i.due_date, i.amount_cents as amount, i.amount_due_cents as amount_due,
        coalesce(i.invoice_number, '') as invoice_number, invoice_json(i) as invoice,
        (select r.email from recipients r where r.tenant_id = i.tenant_id and r.customer_id = i.customer_id) as email
    from invoices i
"""
SORTS = {
    "created_at": Sort("i.created_at", datetime),
    "issue_date": Sort("i.issue_date", date),
    "due_date": Sort("i.due_date", date),
    "amount": Sort("i.amount_cents", int),
    "amount_due": Sort("i.amount_due_cents", int),
    "invoice_number": Sort("coalesce(i.invoice_number, '')", str),
}


class Found(NamedTuple):
    """An invoice with its lines and payments, and the time zone that the tenant set for invoicing."""

    invoice: Receivable
    timezone: str | None


_decoder = msgspec.json.Decoder(Receivable)


async def find_several(conn: Conn, wanted: Sequence[tuple[UUID, UUID]]) -> list[Found | None]:
    """Invoices by tenant and id, in the order asked for; None where there is none."""
    rows = await conn.fetch(SEVERAL, [tenant_id for tenant_id, _ in wanted], [invoice_id for _, invoice_id in wanted])
    return [None if row["invoice"] is None else Found(receivable(row), row["timezone"]) for row in rows]


async def page(conn: Conn, where: Where, query: PageQuery, *, total: int | None) -> Page[Receivable]:
    """A piece of a list, without lines and payments."""
    found = await pages.fetch(conn, LIST, where, query, sorts=SORTS, count=total, id_expression="i.id")
    return found.map(_listed)


async def count(conn: Conn, tenant_id: UUID, statuses: list[str] | None, *, archived: bool | None) -> int:
    """How many invoices there are, from the counts that are kept rather than by counting."""
    total: int = await conn.fetchval(
        """select coalesce(sum(invoices), 0)::bigint from invoice_counts
           where tenant_id = $1 and ($2::text[] is null or status = any($2))
               and ($3::boolean is null or archived = $3)""",
        tenant_id,
        statuses,
        archived,
    )
    return total


async def timezone(conn: Conn, tenant_id: UUID) -> str | None:
    """The time zone that the tenant set for invoicing."""
    zone: str | None = await conn.fetchval("select timezone from settings where tenant_id = $1", tenant_id)
    return zone


def _listed(row: asyncpg.Record) -> Receivable:
    email = msgspec.json.encode(row["email"]).decode()
    return _decoder.decode(f'{row["invoice"][:-1]},"email":{email}}}')
