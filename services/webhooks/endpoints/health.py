"""How an endpoint does: the circuit breaker, the pause, and how long nothing has worked. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

BREAKER_FAILURES = 5
FIRST_COOLDOWN_SECONDS = 30
LONGEST_COOLDOWN_SECONDS = 600
DISABLE_AFTER = timedelta(days=5)
UNPROVEN_AT_ONCE = 5
"""What an endpoint may have in flight that never answered well: many new ones that hang must not fill all slots."""


class Circuit(StrEnum):
    """Closed: deliveries flow. Open: none are tried. Half-open: one at a time, to see whether it is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint has been doing."""

    failures: int = 0
    """In a row."""
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    open_until: datetime | None = None
    cooldown_seconds: int = 0
    paused_until: datetime | None = None


def circuit(health: Health, now: datetime) -> Circuit:
    """The state of the breaker at an instant."""
    if health.open_until is None:
        return Circuit.CLOSED
    return Circuit.OPEN if now < health.open_until else Circuit.HALF_OPEN


def recovered(now: datetime) -> Health:
    """One success, and all is well."""
    return Health(last_success_at=now)


def failed(health: Health, now: datetime, *, paused_until: datetime | None) -> Health:
    """One more failure; `paused_until` is what the endpoint asked for."""
    failing = msgspec.structs.replace(
        health,
        failures=health.failures + 1,
        failing_since=health.failing_since or now,
        paused_until=paused_until or health.paused_until,
    )
    return _trip(failing, now) if _must_trip(failing, now) else failing


def _must_trip(health: Health, now: datetime) -> bool:
    """Failures that were in flight when the breaker opened do not open it again."""
    return health.failures >= BREAKER_FAILURES and circuit(health, now) is not Circuit.OPEN


def _trip(health: Health, now: datetime) -> Health:
    cooldown = min(max(health.cooldown_seconds * 2, FIRST_COOLDOWN_SECONDS), LONGEST_COOLDOWN_SECONDS)
    return msgspec.structs.replace(health, open_until=now + timedelta(seconds=cooldown), cooldown_seconds=cooldown)


def must_disable(health: Health, now: datetime) -> bool:
    """Not one success for five days of trying."""
    return health.failing_since is not None and now - health.failing_since >= DISABLE_AFTER


def room(health: Health, *, limit: int, in_flight: int, now: datetime) -> int:
    """How many more deliveries an endpoint may have in flight; each failure in a row halves it, down to one."""
    if health.last_success_at is None:
        limit = min(limit, UNPROVEN_AT_ONCE)
    if health.paused_until is not None and now < health.paused_until:
        return 0
    match circuit(health, now):
        case Circuit.OPEN:
            return 0
        case Circuit.HALF_OPEN:
            return max(0, 1 - in_flight)
        case Circuit.CLOSED:
            return max(0, max(1, limit >> min(health.failures, 30)) - in_flight)
