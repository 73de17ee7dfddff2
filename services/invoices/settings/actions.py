"""What can be done with a tenant's settings, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.settings import store
from services.invoices.settings.model import Settings, Stored, shown
from shared.db import Conn
from shared.identity.callers import Caller


async def current(conn: Conn, caller: Caller) -> Settings:
    """What applies to the caller's tenant."""
    stored = await store.find(conn, caller.tenant_id)
    return shown(stored, timezone=caller.timezone, currency=caller.currency)


async def change(
    conn: Conn,
    tenant_id: UUID,
    fields: Mapping[str, object],
    branding: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> Stored:
    """Change the named settings, and of the branding the named fields."""
    before = await store.lock(conn, tenant_id)
    check_version(before.version)
    after = msgspec.structs.replace(before, **fields, branding=msgspec.structs.replace(before.branding, **branding))
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1, updated_at=now)
    await store.save(conn, after)
    return after
