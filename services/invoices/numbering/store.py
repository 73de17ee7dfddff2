"""The counters behind the numbers."""

from typing import Literal
from uuid import UUID

from shared.db import Conn

Series = Literal["invoice", "credit_note"]


async def next_number(conn: Conn, tenant_id: UUID, series: Series, *, prefix: str, year: int) -> str:
    """The next number of a series; the counter is locked until the transaction ends, so that no number is lost.

    Invoices are locked before counters, always, so call it after the invoices are locked.
    """
    number: str = await conn.fetchval("select next_number($1, $2, $3, $4, '{}')", tenant_id, series, prefix, year)
    return number
