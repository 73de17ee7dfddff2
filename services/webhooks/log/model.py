"""The event log: each event as the very bytes that webhooks carry."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.events import Event

_json = msgspec.json.Encoder()


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as webhooks carry it."""

    id: UUID
    type: str
    timestamp: datetime
    """When it happened."""
    data: msgspec.Raw
    """The object after the change."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored: what to find it by, and its payload."""

    tenant_id: UUID
    id: UUID
    type: str
    subject: UUID
    sequence: int
    time: datetime
    payload: str
    traceparent: str | None


def entry(event: Event) -> Entry:
    """The entry of an event."""
    body = LoggedEvent(id=event.id, type=event.type, timestamp=event.time, data=event.data)
    return Entry(
        tenant_id=event.tenant_id,
        id=event.id,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        time=event.time,
        payload=_json.encode(body).decode(),
        traceparent=event.traceparent,
    )


def first_id(instant: datetime) -> UUID:
    """The least UUIDv7 of an instant: ids are points in time, so ranges of time are ranges of ids."""
    milliseconds = max(0, int(instant.timestamp() * 1000))
    return UUID(int=milliseconds << 80)
