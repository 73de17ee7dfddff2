"""What can be done with a tenant's settings, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.notifier.settings import store
from services.notifier.settings.model import NotificationSettings
from shared.db import Conn
from shared.errors import FieldError, InvalidFields


async def change(
    conn: Conn,
    tenant_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> NotificationSettings:
    """Change the named settings."""
    before = await store.lock(conn, tenant_id)
    check_version(before.version)
    after = msgspec.structs.replace(before, **fields)
    if after == before:
        return before
    if after.business_end <= after.business_start:
        raise InvalidFields([FieldError(field="business_end", message="must be after business_start")])
    after = msgspec.structs.replace(after, version=before.version + 1, updated_at=now)
    await store.save(conn, tenant_id, after)
    return after
