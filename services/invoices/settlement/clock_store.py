"""Which invoices the clock must look at."""

from datetime import date
from uuid import UUID

from shared.db import Conn

TURNING_OVERDUE = """
    select i.tenant_id, i.id, (now() at time zone coalesce(s.timezone, t.timezone))::date as today
    from invoices i join tenants t on t.tenant_id = i.tenant_id left join settings s on s.tenant_id = i.tenant_id
    where i.status in ('pending', 'partial') and not i.status_pinned
        and i.due_date <= (now() at time zone 'UTC')::date
        and i.due_date < (now() at time zone coalesce(s.timezone, t.timezone))::date
    order by i.due_date limit $1
"""
FOLD_COUNTS = """
    with crowded as (
        select tenant_id, status, archived from invoice_counts group by 1, 2, 3 having count(*) > 1
    ), gone as (
        delete from invoice_counts c using crowded d
        where c.tenant_id = d.tenant_id and c.status = d.status and c.archived = d.archived
        returning c.tenant_id, c.status, c.archived, c.invoices
    )
    insert into invoice_counts select tenant_id, status, archived, sum(invoices) from gone group by 1, 2, 3
"""


async def turning_overdue(conn: Conn, limit: int) -> dict[tuple[UUID, date], list[UUID]]:
    """Open invoices whose due date has passed in the tenant's time zone, by tenant and the tenant's day."""
    found: dict[tuple[UUID, date], list[UUID]] = {}
    for row in await conn.fetch(TURNING_OVERDUE, limit):
        found.setdefault((row["tenant_id"], row["today"]), []).append(row["id"])
    return found


async def fold_counts(conn: Conn) -> None:
    """Fold the changes of the counts together, so that summing them stays cheap."""
    await conn.execute(FOLD_COUNTS)
