"""Queueing facts, approving them, and noting how the accounting system took them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.payments.reconciliation import errors, events, model, store
from services.payments.reconciliation.events import AccountingChange
from services.payments.reconciliation.model import Fact
from shared import outbox
from shared.db import Conn

Action = Literal["mark_synced", "mark_failed"]


async def queue(conn: Conn, facts: Mapping[UUID, Sequence[Fact]], *, now: datetime) -> None:
    """Queue the facts that are new, by tenant."""
    some = {tenant_id: model.distinct(told) for tenant_id, told in facts.items() if told}
    if some:
        made = await store.insert(conn, some, await store.approval_limits(conn, some), now)
        await outbox.put(
            conn, *(events.announce(events.RECORD_CREATED, tenant_id, change) for tenant_id, change in made)
        )


async def mark(
    conn: Conn, tenant_id: UUID, ids: Sequence[UUID], action: Action, error: str | None, *, now: datetime
) -> list[AccountingChange]:
    """Note for all of these changes how syncing went, or for none: unknown ones and waiting ones are refused."""
    locked = await store.lock(conn, tenant_id, ids)
    unknown = set(ids) - {change.id for change in locked}
    if unknown:
        raise errors.ChangeUnknown(change_ids=_listed(unknown), field="change_ids")
    waiting = {change.id for change in locked if change.approval_status == "waiting"}
    if waiting:
        raise errors.ChangeWaits(change_ids=_listed(waiting), field="change_ids")
    status = "synced" if action == "mark_synced" else "failed"
    marked = await store.mark(conn, tenant_id, ids, sync_status=status, error=error, now=now)
    await outbox.put(conn, *(events.announce(events.RECORD_UPDATED, tenant_id, change) for change in marked))
    return marked


def _listed(ids: set[UUID]) -> str:
    return ", ".join(str(change_id) for change_id in sorted(ids))


async def get(conn: Conn, tenant_id: UUID, change_id: UUID) -> AccountingChange:
    """One change; raises ChangeUnknown."""
    found = await store.find(conn, tenant_id, [change_id])
    if not found:
        raise errors.ChangeUnknown(change_ids=change_id)
    return found[0]


async def approve(conn: Conn, tenant_id: UUID, change_id: UUID, *, actor: str, now: datetime) -> AccountingChange:
    """Let a waiting change go to the accounting system; approving it again changes nothing."""
    locked = await store.lock(conn, tenant_id, [change_id])
    if not locked:
        raise errors.ChangeUnknown(change_ids=change_id)
    if locked[0].approval_status == "approved":
        return locked[0]
    change = await store.approve(conn, tenant_id, change_id, actor=actor, now=now)
    await outbox.put(conn, events.announce(events.RECORD_UPDATED, tenant_id, change))
    return change
