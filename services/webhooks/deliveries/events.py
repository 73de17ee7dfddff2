"""The public shape of a delivery and its attempts."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.webhooks.deliveries.model import Status


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One POST and what came of it."""

    attempt: int
    attempted_at: datetime
    status_code: int | None
    duration_ms: int
    response_excerpt: str | None
    """The first 1 KiB of the answer's body."""
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to one webhook."""

    id: UUID
    event_id: UUID
    event_type: str
    status: Status
    next_attempt_at: datetime | None
    attempts: list[Attempt]
    created_at: datetime
    updated_at: datetime
