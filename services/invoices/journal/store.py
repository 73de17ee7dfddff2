"""Reading rows of the journal; the ledger room writes them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.journal.model import AccountSums, Entry, EntryLine
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.money import major

SELECT = """select id, entry_date as date, description, kind, source, currency, reverses_id, invoice_id, payment_id,
    created_at from journal_entries"""

SORTS = {"created_at": Sort("created_at", datetime), "date": Sort("entry_date", date)}


async def page(conn: Conn, tenant_id: UUID, where: Where, query: PageQuery) -> Page[Entry]:
    """One piece of the list of entries, each with its lines."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS)
    lines = await _lines(conn, tenant_id, [row["id"] for row in rows.rows])
    return rows.map(lambda row: _entry(row, lines[row["id"]]))


async def find(conn: Conn, tenant_id: UUID, entry_id: UUID) -> Entry | None:
    """One entry with its lines."""
    row = await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2", tenant_id, entry_id)
    if row is None:
        return None
    lines = await _lines(conn, tenant_id, [entry_id])
    return _entry(row, lines[entry_id])


def _entry(row: asyncpg.Record, lines: Sequence[EntryLine]) -> Entry:
    return msgspec.convert({**row, "lines": lines}, Entry)


async def _lines(conn: Conn, tenant_id: UUID, entry_ids: Sequence[UUID]) -> dict[UUID, list[EntryLine]]:
    rows = await conn.fetch(
        """select l.entry_id, l.account_id, a.code, l.debit_cents, l.credit_cents
           from journal_lines l join accounts a on a.tenant_id = l.tenant_id and a.id = l.account_id
           where l.tenant_id = $1 and l.entry_id = any ($2) order by l.entry_id, l.position""",
        tenant_id,
        entry_ids,
    )
    lines: dict[UUID, list[EntryLine]] = defaultdict(list)
    for row in rows:
        lines[row["entry_id"]].append(
            EntryLine(
                account_id=row["account_id"],
                account_code=row["code"],
                debit=major(row["debit_cents"]),
                credit=major(row["credit_cents"]),
            )
        )
    return lines


async def sums(conn: Conn, tenant_id: UUID, *, currency: str, as_of: date | None) -> list[AccountSums]:
    """What was posted to each account up to a day, in order of codes; accounts without postings too."""
    rows = await conn.fetch(
        """select a.id as account_id, a.code, a.name, a.type,
               coalesce(s.debit_cents, 0)::bigint as debit_cents, coalesce(s.credit_cents, 0)::bigint as credit_cents
           from accounts a left join (
               select l.account_id, sum(l.debit_cents) as debit_cents, sum(l.credit_cents) as credit_cents
               from journal_lines l join journal_entries e on e.tenant_id = l.tenant_id and e.id = l.entry_id
               where l.tenant_id = $1 and e.currency = $2 and ($3::date is null or e.entry_date <= $3)
               group by l.account_id
           ) s on s.account_id = a.id
           where a.tenant_id = $1 and (a.archived_at is null or s.account_id is not null)
           order by a.code""",
        tenant_id,
        currency,
        as_of,
    )
    return [msgspec.convert(row, AccountSums) for row in rows]
