"""From the tags that a request names to tags, inside the caller's transaction."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec

from services.customers.tags import store
from services.customers.tags.model import CustomerTag
from shared.db import Conn


async def resolve(
    conn: Conn, tenant_id: UUID, names: Sequence[str], *, now: datetime, ids_too: bool = False
) -> list[CustomerTag]:
    """The tags of these names, made where new; with `ids_too` an id of an existing tag is as good as its name."""
    by_id = await store.by_ids(conn, tenant_id, _ids(names)) if ids_too else []
    known = {str(row["id"]) for row in by_id}
    others = list({name.strip().lower(): name.strip() for name in names if name.lower() not in known}.values())
    by_name = await store.ensure(conn, tenant_id, others, now=now) if others else []
    tags = {row["id"]: msgspec.convert(row, CustomerTag) for row in [*by_id, *by_name]}
    return sorted(tags.values(), key=lambda tag: tag.name.lower())


def _ids(names: Sequence[str]) -> list[UUID]:
    found = []
    for name in names:
        with suppress(ValueError):
            found.append(UUID(name))
    return found
