"""Announcing: an event becomes a row of the service's own outbox, in the transaction that makes the change."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared import tracing
from shared.clock import now
from shared.db import Conn, will_announce
from shared.events import NewEvent
from shared.ids import uuid7


class Row(NamedTuple):
    """A row of `outbox`, for a statement that writes it together with the change (docs/events.md, one round trip)."""

    tenant_id: UUID
    event_id: UUID
    type: str
    body: str


INSERT = """
    insert into outbox (tenant_id, event_id, type, body)
    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
"""


async def put(conn: Conn, *events: NewEvent) -> None:
    """Write the events in the caller's transaction: they leave if it commits, and only then."""
    if events:
        at = now()
        await conn.execute(INSERT, *columns([row(event, at=at) for event in events]))
        will_announce(conn)


def row(event: NewEvent, *, at: datetime | None = None) -> Row:
    """The row of one event, with its id, its time and the trace that it belongs to."""
    sealed = event.seal(id=uuid7(), time=at or now(), traceparent=tracing.current.get())
    return Row(sealed.tenant_id, sealed.id, sealed.type, sealed.encode().decode())


def columns(rows: list[Row]) -> tuple[list[UUID], list[UUID], list[str], list[str]]:
    """The rows as the four arrays of `INSERT`."""
    return (
        [row.tenant_id for row in rows],
        [row.event_id for row in rows],
        [row.type for row in rows],
        [row.body for row in rows],
    )
