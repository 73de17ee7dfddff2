"""An endpoint: what may be subscribed to, which headers may be set, and what it asks for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from shared.errors import FieldError
from shared.events import matches

EVENT_TYPES = frozenset(
    {
        *("customer.created", "customer.updated", "customer.deleted"),
        *("invoice.created", "invoice.updated", "invoice.issued", "invoice.sent", "invoice.paid", "invoice.overdue"),
        *("invoice.voided", "invoice.written_off", "invoice.archived", "invoice.restored", "credit_note.created"),
        *("dispute.created", "dispute.resolved"),
        *("payment_plan.enrolled", "payment_plan.completed", "payment_plan.defaulted"),
        *("payment.created", "payment.matched", "payment.unmatched", "payment.refunded"),
        *("reconciliation.record_created", "reconciliation.record_updated"),
        *("communication.sent", "communication.failed"),
        *("webhook.test", "webhook.endpoint_disabled"),
    }
)
"""The public types (docs/events.md). What is not here stays inside."""

TEST = "webhook.test"
ENDPOINTS_PER_TENANT = 500
ROTATION_OVERLAP = timedelta(hours=24)
MAX_HEADERS = 20

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1998}[\x21-\x7e])?")
_OURS = re.compile(
    r"webhook-.*|content-.*|proxy-.*|host|user-agent|expect|accept-encoding|traceparent"
    r"|connection|keep-alive|te|trailer|transfer-encoding|upgrade",
    re.IGNORECASE,
)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tenant wants events sent, with its secrets sealed."""

    tenant_id: UUID
    id: UUID
    version: int
    url: str
    events: Sequence[str]
    description: str | None
    is_active: bool
    ordered: bool
    rate_limit_per_second: int | None
    timeout_seconds: int
    secret: bytes
    previous_secret: bytes | None = None
    previous_secret_until: datetime | None = None
    headers: bytes | None = None
    header_names: Sequence[str] = ()
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    created_at: datetime
    updated_at: datetime

    def wants(self, event_type: str, subject: UUID) -> bool:
        """Whether an event is delivered to it: a test goes to the endpoint that it is about, and to no other."""
        if event_type == TEST:
            return subject == self.id
        return any(matches(pattern, event_type) for pattern in self.events)


def wrong_patterns(patterns: Sequence[str]) -> Iterator[FieldError]:
    """Entries of `events` that no type can match."""
    for index, pattern in enumerate(patterns):
        if pattern not in EVENT_TYPES and not _is_pattern(pattern):
            message = f"{pattern!r} is not an event type; write one such as invoice.created, a pattern invoice.*, or *"
            yield FieldError(field=f"events[{index}]", message=message)


def _is_pattern(text: str) -> bool:
    return text == "*" or (text.endswith(".*") and any(matches(text, known) for known in EVENT_TYPES))


def wrong_headers(headers: Mapping[str, str]) -> Iterator[FieldError]:
    """Headers that cannot be set, and why."""
    if len(headers) > MAX_HEADERS:
        yield FieldError(field="headers", message=f"there may be at most {MAX_HEADERS}")
    for name, value in headers.items():
        if reason := _wrong_header(name, value):
            yield FieldError(field=f"headers.{name}", message=reason)


def _wrong_header(name: str, value: str) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "is not a header name"
    if _OURS.fullmatch(name):
        return "is set by ARPilot or belongs to the connection"
    if not _HEADER_VALUE.fullmatch(value):
        return "must have a value of 1 to 2000 printable ASCII characters"
    return None
