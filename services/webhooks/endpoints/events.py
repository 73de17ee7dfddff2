"""The public shape of an endpoint, and what is announced about one."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.webhooks.endpoints.model import TEST
from shared.events import EventType, NewEvent

HIDDEN = "***"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of the last 24 hours."""

    delivered: int
    failed: int
    success_rate: float | None
    """Of all attempts, from 0 to 1; null when there were none."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as its owner sees it."""

    id: UUID
    url: str
    events: list[str]
    description: str | None
    is_active: bool
    ordered: bool
    """Events about one object arrive in their order, the next only after the one before."""
    rate_limit_per_second: int | None
    timeout_seconds: int
    headers: dict[str, str]
    """The custom headers; their values are not shown again."""
    circuit: Literal["closed", "open", "half_open"]
    last_success_at: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: Literal["gone", "failing"] | None
    """`gone`: it answered 410; `failing`: five days without one success."""
    last_24_hours: Counts
    created_at: datetime
    updated_at: datetime
    version: int


class WebhookWithSecret(Webhook, frozen=True, kw_only=True):
    """The same with its signing secret, in the answers that make one and in no other."""

    secret: str


class WebhookTest(msgspec.Struct, frozen=True, kw_only=True):
    """What a test delivers."""

    message: str
    webhook_id: UUID


class EndpointDisabled(msgspec.Struct, frozen=True, kw_only=True):
    """Which endpoint gets nothing any more, and why."""

    id: UUID
    url: str
    description: str | None
    disabled_at: datetime
    disabled_reason: Literal["gone", "failing"]
    failing_since: datetime | None
    last_success_at: datetime | None


TESTED = EventType(TEST, WebhookTest, "Somebody asked for a test; it goes to one endpoint only.")
DISABLED = EventType(
    "webhook.endpoint_disabled", EndpointDisabled, "An endpoint answered 410, or failed for five days."
)
PUBLISHED = (TESTED, DISABLED)


def tested(tenant_id: UUID, endpoint_id: UUID, version: int) -> NewEvent:
    """Somebody asked for a test."""
    data = WebhookTest(message="This is a test of your ARPilot webhook.", webhook_id=endpoint_id)
    return TESTED.new(tenant_id=tenant_id, subject=endpoint_id, sequence=version, data=data)


def disabled(tenant_id: UUID, version: int, data: EndpointDisabled) -> NewEvent:
    """Nothing is sent there any more."""
    return DISABLED.new(tenant_id=tenant_id, subject=data.id, sequence=version, data=data)
