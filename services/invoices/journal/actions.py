"""Reading the general ledger."""

from uuid import UUID

from services.invoices.journal import store
from services.invoices.journal.errors import EntryUnknown
from services.invoices.journal.model import Entry
from shared.db import Conn


async def get(conn: Conn, tenant_id: UUID, entry_id: UUID) -> Entry:
    """One entry with its lines."""
    entry = await store.find(conn, tenant_id, entry_id)
    if entry is None:
        raise EntryUnknown(entry_id=entry_id)
    return entry
