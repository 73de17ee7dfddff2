"""The journal, which can only be added to. (Reading it for people is in the room journal.)"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from services.invoices.ledger.model import Entry, Kind
from shared.db import Conn
from shared.ids import uuid7


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of journal_entries, as the statement takes it."""

    tenant_id: UUID
    id: UUID
    source: str
    kind: str
    entry_date: date
    description: str
    currency: str
    invoice_id: UUID | None
    payment_id: UUID | None
    created_at: datetime
    reverses_id: UUID | None = None


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of journal_lines."""

    tenant_id: UUID
    entry_id: UUID
    position: int
    account_id: UUID
    debit_cents: int
    credit_cents: int


def rows(tenant_id: UUID, entries: Sequence[Entry], now: datetime) -> tuple[list[EntryRow], list[LineRow]]:
    """The rows of new entries."""
    heads = [_head(tenant_id, entry, now) for entry in entries]
    lines = [
        LineRow(
            tenant_id=tenant_id,
            entry_id=head.id,
            position=position,
            account_id=line.account_id,
            debit_cents=line.debit_cents,
            credit_cents=line.credit_cents,
        )
        for head, entry in zip(heads, entries, strict=True)
        for position, line in enumerate(entry.lines)
    ]
    return heads, lines


async def append(conn: Conn, tenant_id: UUID, entries: Sequence[Entry], now: datetime) -> None:
    """Add entries, each once by its source."""
    heads, lines = rows(tenant_id, entries, now)
    await conn.execute("select post_entries($1, $2)", as_json(heads), as_json(lines))


async def reverse(
    conn: Conn, tenant_id: UUID, entry_ids: Sequence[UUID], *, now: datetime, on: date | None = None
) -> None:
    """Add the mirror image of entries, dated as given or as the entries themselves; each is reversed once at most."""
    ids = [uuid7() for _ in entry_ids]
    await conn.execute("select reverse_entries($1, $2, $3, $4, $5)", tenant_id, entry_ids, ids, on, now)


async def standing(conn: Conn, tenant_id: UUID, invoice_id: UUID, kinds: Sequence[Kind]) -> list[UUID]:
    """The invoice's entries of these kinds that are not reversed."""
    found = await conn.fetch(
        """select e.id from journal_entries e
           where e.tenant_id = $1 and e.invoice_id = $2 and e.kind = any($3) and not exists (
               select from journal_entries r where r.tenant_id = $1 and r.reverses_id = e.id)""",
        tenant_id,
        invoice_id,
        kinds,
    )
    return [row["id"] for row in found]


async def by_sources(conn: Conn, tenant_id: UUID, sources: Sequence[str]) -> list[UUID]:
    """The entries that were made for these sources."""
    found = await conn.fetch(
        "select id from journal_entries where tenant_id = $1 and source = any($2)", tenant_id, sources
    )
    return [row["id"] for row in found]


def as_json(items: Sequence[msgspec.Struct]) -> str:
    """Rows as the JSON that the SQL functions take."""
    return msgspec.json.encode(items).decode()


def _head(tenant_id: UUID, entry: Entry, now: datetime) -> EntryRow:
    return EntryRow(
        tenant_id=tenant_id,
        id=uuid7(),
        source=entry.source,
        kind=entry.kind,
        entry_date=entry.entry_date,
        description=entry.description,
        currency=entry.currency,
        invoice_id=entry.invoice_id,
        payment_id=entry.payment_id,
        created_at=now,
    )
