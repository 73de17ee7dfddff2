"""Reading what the reports are made of; other rooms write it.

What is due on invoices now, less what the ledger moved after a day, is what was due on that day: so a report of any
day reads the open invoices and the entries since, not the whole journal.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec

from services.invoices.ledger.model import RECEIVABLE, system_account
from services.invoices.reports.model import Balance, Posting
from shared.db import Conn

BALANCES = """
    with later as (
        select e.invoice_id, sum(l.debit_cents - l.credit_cents) as cents
        from journal_entries e join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
        where e.tenant_id = $1 and e.currency = $2 and e.entry_date > $3 and l.account_id = $4
        group by e.invoice_id
    ), open as (
        select id as invoice_id, amount_due_cents as cents from invoices
        where tenant_id = $1 and currency = $2 and amount_due_cents > 0 and status not in ('draft', 'cancelled')
    ), was as (
        select invoice_id, sum(cents) as cents from (
            select invoice_id, cents from open union all select invoice_id, -cents from later
        ) moved group by invoice_id having sum(cents) <> 0
    )
    select i.customer_id, coalesce(max(r.display_name), max(i.customer_name), 'Deleted customers') as customer_name,
        coalesce(i.due_date, $3) as due_date, sum(was.cents)::bigint as open_cents
    from was
    left join invoices i on i.tenant_id = $1 and i.id = was.invoice_id
    left join recipients r on r.tenant_id = $1 and r.customer_id = i.customer_id
    group by i.customer_id, i.due_date
"""


async def balances(conn: Conn, tenant_id: UUID, *, currency: str, as_of: date) -> list[Balance]:
    """What was open at the end of a day, by customer and due date."""
    rows = await conn.fetch(BALANCES, tenant_id, currency, as_of, system_account(tenant_id, RECEIVABLE))
    return [msgspec.convert(row, Balance) for row in rows]


async def receivable_cents(conn: Conn, tenant_id: UUID, *, currency: str, days: Sequence[date]) -> list[int]:
    """Balance of receivables at the end of each of these days."""
    rows = await conn.fetch(
        """with now as (
               select coalesce(sum(amount_due_cents), 0) as cents from invoices
               where tenant_id = $1 and currency = $2 and status not in ('draft', 'cancelled')
           ), moved as (
               select e.entry_date, sum(l.debit_cents - l.credit_cents) as cents
               from journal_entries e join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
               where e.tenant_id = $1 and e.currency = $2 and l.account_id = $4
                   and e.entry_date > (select min(day) from unnest($3::date[]) as d (day))
               group by e.entry_date
           )
           select ((select cents from now)
               - coalesce((select sum(cents) from moved where entry_date > day), 0))::bigint as cents
           from unnest($3::date[]) with ordinality as d (day, place) order by place""",
        tenant_id,
        currency,
        days,
        system_account(tenant_id, RECEIVABLE),
    )
    return [row["cents"] for row in rows]


async def billed_cents(conn: Conn, tenant_id: UUID, *, currency: str, start: date, end: date) -> dict[date, int]:
    """What was billed, less what was voided or billed anew, by the first day of the month."""
    rows = await conn.fetch(
        """select date_trunc('month', e.entry_date)::date as month, sum(l.debit_cents - l.credit_cents)::bigint as cents
           from journal_entries e
           join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
           left join journal_entries o on o.tenant_id = e.tenant_id and o.id = e.reverses_id
           where e.tenant_id = $1 and e.currency = $2 and e.entry_date between $3 and $4 and l.account_id = $5
               and coalesce(o.kind, e.kind) = 'issue'
           group by 1""",
        tenant_id,
        currency,
        start,
        end,
        system_account(tenant_id, RECEIVABLE),
    )
    return {row["month"]: row["cents"] for row in rows}


POSTED = """from invoices i
    join journal_entries e on e.tenant_id = i.tenant_id and e.invoice_id = i.id
    join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
    where i.tenant_id = $1 and i.customer_id = $2 and e.currency = $3 and l.account_id = $4"""


async def opening_cents(conn: Conn, tenant_id: UUID, customer_id: UUID, *, currency: str, start: date) -> int:
    """What a customer owed before a day."""
    cents: int = await conn.fetchval(
        f"select coalesce(sum(l.debit_cents - l.credit_cents), 0)::bigint {POSTED} and e.entry_date < $5",
        tenant_id,
        customer_id,
        currency,
        system_account(tenant_id, RECEIVABLE),
        start,
    )
    return cents


async def postings(
    conn: Conn, tenant_id: UUID, customer_id: UUID, *, currency: str, start: date, end: date
) -> list[Posting]:
    """Each change of what a customer owes in a period, in order."""
    rows = await conn.fetch(
        f"""select e.id as entry_id, e.entry_date as date, e.description, e.kind, e.invoice_id, i.invoice_number,
                e.payment_id, sum(l.debit_cents - l.credit_cents)::bigint as change_cents
            {POSTED} and e.entry_date between $5 and $6
            group by e.tenant_id, e.id, i.invoice_number
            having sum(l.debit_cents - l.credit_cents) <> 0
            order by e.entry_date, e.created_at, e.id""",
        tenant_id,
        customer_id,
        currency,
        system_account(tenant_id, RECEIVABLE),
        start,
        end,
    )
    return [msgspec.convert(row, Posting) for row in rows]


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a statement is for."""

    name: str
    address: str | None
    email: str | None


async def addressee(conn: Conn, tenant_id: UUID, customer_id: UUID) -> Addressee | None:
    """A customer by this service's own copy, or by the last invoice that names it."""
    row = await conn.fetchrow(
        """select display_name as name, address, email from recipients
           where tenant_id = $1 and customer_id = $2 and deleted_at is null
           union all
           (select customer_name, customer_address, null from invoices
            where tenant_id = $1 and customer_id = $2 order by created_at desc limit 1)
           limit 1""",
        tenant_id,
        customer_id,
    )
    return None if row is None else msgspec.convert(row, Addressee)


async def unapplied_cents(conn: Conn, tenant_id: UUID, customer_id: UUID, *, currency: str) -> int:
    """What a customer's credit notes still have left."""
    cents: int = await conn.fetchval(
        """select coalesce(sum(unapplied_cents), 0)::bigint from credit_notes
           where tenant_id = $1 and customer_id = $2 and currency = $3""",
        tenant_id,
        customer_id,
        currency,
    )
    return cents
