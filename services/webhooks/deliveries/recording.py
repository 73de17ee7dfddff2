"""Writing down what attempts came to: the deliveries in bulk, then the health of the endpoints that it changes."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from services.webhooks.deliveries import metrics, model, store
from services.webhooks.deliveries.model import Answer, Gone, Outcome, Result, Retry
from services.webhooks.deliveries.store import Claim, Settlement
from services.webhooks.endpoints import actions
from services.webhooks.endpoints import store as endpoints
from services.webhooks.endpoints.health import Health, must_disable
from services.webhooks.endpoints.store import Key
from shared.db import Conn

HEALTHY_FOR = timedelta(seconds=60)
"""A success is written into an endpoint's health at most this often while nothing fails."""


class Made(msgspec.Struct, frozen=True):
    """An attempt that was made."""

    claim: Claim
    result: Result
    started: datetime


async def record(
    conn: Conn, batch: Sequence[Made], healthy_at: Mapping[Key, datetime], now: datetime
) -> dict[Key, datetime]:
    """Record attempts; returns the endpoints whose health is now known to be good, and since when."""
    found = [(made, _outcome(made, now)) for made in batch]
    settled = await store.settle(conn, [_settlement(made, outcome) for made, outcome in found], now=now)
    counted = [(made, outcome) for made, outcome in found if (made.claim.endpoint_id, made.claim.event_id) in settled]
    _measure(counted, fenced=len(found) - len(counted))
    return await _update_health(conn, counted, healthy_at, now)


def _measure(counted: Sequence[tuple[Made, Outcome]], *, fenced: int) -> None:
    metrics.FENCED.inc(fenced)
    for kind, count in Counter(type(outcome) for _, outcome in counted).items():
        metrics.ATTEMPTS.labels(kind.__name__.lower()).inc(count)
    for made, _ in counted:
        metrics.ATTEMPT_SECONDS.observe(made.result.duration_ms / 1000)


def _outcome(made: Made, now: datetime) -> Outcome:
    dice = random.random()  # noqa: S311  jitter, not a secret
    return model.outcome(made.result, attempts=made.claim.attempts + 1, now=now, dice=dice)


def _settlement(made: Made, outcome: Outcome) -> Settlement:
    result = made.result
    return Settlement(
        claim=made.claim,
        status=model.status_after(outcome),
        due_at=outcome.at if isinstance(outcome, Retry) else None,
        attempted_at=made.started,
        status_code=result.status_code if isinstance(result, Answer) else None,
        duration_ms=result.duration_ms,
        excerpt=_text(result.excerpt) if isinstance(result, Answer) else None,
        error=model.error_of(result),
    )


def _text(excerpt: bytes) -> str:
    """What PostgreSQL can store of whatever came."""
    return excerpt.decode("utf-8", "replace").replace("\x00", "\ufffd")


async def _update_health(
    conn: Conn, found: Sequence[tuple[Made, Outcome]], healthy_at: Mapping[Key, datetime], now: datetime
) -> dict[Key, datetime]:
    """Only endpoints with a failure, or without a noted success lately, cost anything here."""
    long_ago = now - HEALTHY_FOR
    concerned = {
        made.claim.key
        for made, _ in found
        if not model.succeeded(made.result) or healthy_at.get(made.claim.key, _NEVER) < long_ago
    }
    if not concerned:
        return {}
    before = await endpoints.lock_health(conn, sorted(concerned))
    after = {key: before.get(key, Health()) for key in concerned}
    for made, _ in found:
        if made.claim.key in concerned:
            after[made.claim.key] = model.after(after[made.claim.key], made.result, now)
    await endpoints.save_health(conn, after)
    await _disable(conn, found, after, now)
    return {key: _healthy_since(health) for key, health in after.items()}


def _healthy_since(health: Health) -> datetime:
    return _NEVER if health.failures else health.last_success_at or _NEVER


async def _disable(
    conn: Conn, found: Sequence[tuple[Made, Outcome]], after: Mapping[Key, Health], now: datetime
) -> None:
    gone = {made.claim.key for made, outcome in found if isinstance(outcome, Gone)}
    failing = {key for key, health in after.items() if must_disable(health, now)} - gone
    for key in sorted(gone):
        await actions.disable(conn, key, after[key], reason="gone", now=now)
    for key in sorted(failing):
        await actions.disable(conn, key, after[key], reason="failing", now=now)


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
