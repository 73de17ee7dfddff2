"""Domain events: past facts, each in a CloudEvents 1.0 envelope that any CloudEvents SDK can read (docs/events.md)."""

import builtins
import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec

from shared.http.bodies import decoder, enc_hook

T = TypeVar("T")

Changes = Mapping[str, Sequence[object]]
"""What an update changed: `{field: [before, after]}`."""

CONTENT_TYPE = "application/cloudevents+json"
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Half of what RabbitMQ takes in one message, so that no event can be written that never leaves the outbox."""

_json = msgspec.json.Encoder(decimal_format="number", enc_hook=enc_hook)


class EventTooLarge(ValueError):
    """An event does not fit into a message of the bus."""


class NotAnEvent(ValueError):
    """A message of the bus is not a CloudEvent of ours."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as it travels: the attributes of a CloudEvent, and its data."""

    specversion: Literal["1.0"]
    id: UUID
    source: str
    type: str
    subject: UUID
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    tenant_id: UUID = msgspec.field(name="tenantid")
    sequence: int
    traceparent: str | None = None
    data: msgspec.Raw

    def decode(self, kind: builtins.type[T]) -> T:
        """The data as a struct of only the fields that the consumer needs; others are ignored."""
        return decoder(kind).decode(self.data)

    def encode(self) -> bytes:
        """The JSON document that the bus carries."""
        return _json.encode(self)


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that is not written yet; `outbox.put` gives it its id and its time."""

    type: "EventType[Any]"
    tenant_id: UUID
    subject: UUID
    sequence: int
    data: object
    changes: Changes | None = None

    def seal(self, *, id: UUID, time: datetime, traceparent: str | None) -> Event:  # noqa: A002 - CloudEvents' own name
        """The event with what it lacks; raises EventTooLarge."""
        data = _with_changes(_json.encode(self.data), self.changes)
        if len(data) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"{self.type.name} of {self.subject} has {len(data)} bytes of data")
        return Event(
            specversion="1.0",
            id=id,
            source=self.type.source,
            type=self.type.name,
            subject=self.subject,
            time=time,
            tenant_id=self.tenant_id,
            sequence=self.sequence,
            traceparent=traceparent,
            data=msgspec.Raw(data),
        )


class EventType(Generic[T]):
    """A kind of event: its name, the struct of its data, and one sentence about when it happens.

    Every type is registered under its name; the same name cannot mean two things.
    """

    registry: "dict[str, EventType[Any]]" = {}

    def __init__(self, name: str, data: type[T], summary: str, *, service: str | None = None) -> None:
        self.name = name
        self.data = data
        self.summary = summary
        self.service = service or service_of(data)
        self.source = f"/arpilot/{self.service}"
        known = self.registry.setdefault(name, self)
        assert known.data is data, f"two meanings of {name}"

    def new(
        self, *, tenant_id: UUID, subject: UUID, sequence: int, data: T, changes: Changes | None = None
    ) -> NewEvent:
        """A fact of this kind about one object; `sequence` is the object's version after the change."""
        return NewEvent(type=self, tenant_id=tenant_id, subject=subject, sequence=sequence, data=data, changes=changes)

    def __repr__(self) -> str:
        return f"EventType({self.name!r})"


_decoder = msgspec.json.Decoder(Event)


def decode(body: bytes | str) -> Event:
    """Read an envelope; raises NotAnEvent."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnEvent(str(error)) from None


def service_of(data: type) -> str:
    """The service that a payload's module lies in: it is the one that publishes it."""
    parts = data.__module__.split(".")
    return parts[1] if parts[0] == "services" and len(parts) > 1 else parts[0]


def matches(pattern: str, event_type: str) -> bool:
    """Whether a type falls under `*`, `invoice.*` or a full name."""
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


@functools.lru_cache(maxsize=1024)
def matches_any(patterns: tuple[str, ...], event_type: str) -> bool:
    """Whether a type falls under one of these: asked for each event again and again, of few types."""
    return any(matches(pattern, event_type) for pattern in patterns)


def _with_changes(data: bytes, changes: Changes | None) -> bytes:
    """The encoded object with `changes` as one more member, without decoding it again."""
    if not changes:
        return data
    assert data.startswith(b"{"), "only an object can have changes"
    comma = b"" if data == b"{}" else b","
    return data[:-1] + comma + b'"changes":' + _json.encode(changes) + b"}"
