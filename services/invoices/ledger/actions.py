"""Posting: entries are added in the transaction of what they tell about, and mended by reversing entries."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from services.invoices.ledger import store
from services.invoices.ledger.model import Entry, Kind
from shared.db import Conn


async def post(conn: Conn, tenant_id: UUID, *entries: Entry, now: datetime) -> None:
    """Post entries; what was posted before under the same source is not posted again."""
    if entries:
        await store.append(conn, tenant_id, entries, now)


async def reverse(
    conn: Conn, tenant_id: UUID, invoice_id: UUID, kinds: Sequence[Kind], *, now: datetime, on: date | None = None
) -> None:
    """Reverse what stands of an invoice's entries of these kinds, dated as they are unless `on` names a day."""
    entry_ids = await store.standing(conn, tenant_id, invoice_id, kinds)
    if entry_ids:
        await store.reverse(conn, tenant_id, entry_ids, now=now, on=on)


async def reverse_source(conn: Conn, tenant_id: UUID, source: str, *, now: datetime, on: date | None = None) -> None:
    """Reverse the entry that was made for a source."""
    entry_ids = await store.by_sources(conn, tenant_id, [source])
    if entry_ids:
        await store.reverse(conn, tenant_id, entry_ids, now=now, on=on)
