"""What becomes of a delivery after an attempt, and who is served next.

Pure: time and chance are arguments.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from uuid import UUID

import msgspec

from services.webhooks.endpoints.health import Health, failed, recovered

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The wait before each retry, as Standard Webhooks recommends; ten attempts in all."""

JITTER = 0.1
LONGEST_WAIT = SCHEDULE[-1]
PAUSE_WITHOUT_HINT = timedelta(seconds=30)
"""How long 429 without `Retry-After` pauses its endpoint."""


class Status(StrEnum):
    """What a client sees of a delivery."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"


# What an attempt came to


class Answer(msgspec.Struct, frozen=True):
    """The other side answered, whatever it said."""

    status_code: int
    excerpt: bytes
    """The first 1 KiB of the body."""
    retry_after_seconds: int
    """From `Retry-After`, a number or a date; 0 without."""
    duration_ms: int


class NoAnswer(msgspec.Struct, frozen=True):
    """There was no complete answer in time."""

    error: str
    duration_ms: int


Result = Answer | NoAnswer


class Delivered(msgspec.Struct, frozen=True):
    """It arrived."""


class Retry(msgspec.Struct, frozen=True):
    """It did not; the next attempt is due then."""

    at: datetime


class GivenUp(msgspec.Struct, frozen=True):
    """It did not, and the schedule is spent."""


class Gone(msgspec.Struct, frozen=True):
    """410: the endpoint is not there any more and wants nothing further."""


Outcome = Delivered | Retry | GivenUp | Gone


def next_attempt(schedule: Sequence[timedelta], *, attempts: int, now: datetime, dice: float) -> datetime | None:
    """When to try again, or None once the schedule is spent. `dice` is in [0, 1)."""
    assert attempts >= 1, attempts
    if attempts > len(schedule):
        return None
    return now + schedule[attempts - 1] * (1 - JITTER + 2 * JITTER * dice)


def outcome(result: Result, *, attempts: int, now: datetime, dice: float) -> Outcome:
    """What an attempt came to. `attempts` counts those made so far, this one included."""
    if succeeded(result):
        return Delivered()
    if _status(result) == HTTPStatus.GONE:
        return Gone()
    at = next_attempt(SCHEDULE, attempts=attempts, now=now, dice=dice)
    return GivenUp() if at is None else Retry(max(at, now + _asked_wait(result)))


def status_after(found: Outcome) -> Status:
    """The status that an outcome leaves the delivery in."""
    match found:
        case Delivered():
            return Status.DELIVERED
        case Retry():
            return Status.RETRYING
        case GivenUp() | Gone():
            return Status.FAILED


def succeeded(result: Result) -> bool:
    """Any 2xx, and nothing else."""
    return 200 <= _status(result) < 300


def error_of(result: Result) -> str | None:
    """Why an attempt failed, in words; None for a success."""
    if isinstance(result, NoAnswer):
        return result.error
    if succeeded(result):
        return None
    if 300 <= result.status_code < 400:
        return f"answered {result.status_code}; redirects are not followed"
    return f"answered {result.status_code}"


def _status(result: Result) -> int:
    return result.status_code if isinstance(result, Answer) else 0


def _asked_wait(result: Result) -> timedelta:
    """What `Retry-After` asks for, at most the schedule's longest step."""
    if isinstance(result, NoAnswer) or result.status_code not in {429, 503}:
        return timedelta()
    return min(timedelta(seconds=min(result.retry_after_seconds, 10**6)), LONGEST_WAIT)


# What an attempt says about its endpoint


def after(health: Health, result: Result, now: datetime) -> Health:
    """The endpoint's health after one more attempt."""
    if succeeded(result):
        return recovered(now)
    return failed(health, now, paused_until=_paused_until(result, now))


def _paused_until(result: Result, now: datetime) -> datetime | None:
    if _status(result) != HTTPStatus.TOO_MANY_REQUESTS:
        return None
    return now + (_asked_wait(result) or PAUSE_WITHOUT_HINT)


# Who is served next


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with due deliveries and how many of them it may take now."""

    tenant_id: UUID
    endpoint_id: UUID
    room: int
    has_first: bool
    """Some have not been tried yet."""
    has_retries: bool


class Want(msgspec.Struct, frozen=True):
    """So many deliveries of one kind to claim for one endpoint."""

    endpoint_id: UUID
    is_retry: bool
    count: int


def fair_shares(total: int, caps: Sequence[int]) -> list[int]:
    """Split `total` so that nobody gets less than another who wants more, and nobody more than their cap.

    What does not divide goes to the first: rotate the order to be fair over time.
    """
    shares = [0] * len(caps)
    left = min(total, sum(caps))
    hungry = sorted(range(len(caps)), key=lambda index: caps[index])
    for done, index in enumerate(hungry):
        shares[index] = min(caps[index], left // (len(caps) - done))
        left -= shares[index]
    for index in (i for i in range(len(caps)) if left):
        extra = min(left, 1, caps[index] - shares[index])
        shares[index] += extra
        left -= extra
    return shares


def choose(lanes: Sequence[Lane], *, total: int, tenant_rooms: dict[UUID, int]) -> list[Want]:
    """Share the free slots among the tenants, then each tenant's among its endpoints."""
    tenants: dict[UUID, list[Lane]] = {}
    for lane in lanes:
        tenants.setdefault(lane.tenant_id, []).append(lane)
    caps = [min(tenant_rooms[tenant], sum(lane.room for lane in theirs)) for tenant, theirs in tenants.items()]
    wants: list[Want] = []
    for share, theirs in zip(fair_shares(total, caps), tenants.values(), strict=True):
        for count, lane in zip(fair_shares(share, [lane.room for lane in theirs]), theirs, strict=True):
            wants += split(lane, count)
    return wants


def split(lane: Lane, count: int) -> list[Want]:
    """Where both wait, a quarter goes to retries, so that neither kind starves the other."""
    if count == 0:
        return []
    if not (lane.has_first and lane.has_retries):
        return [Want(lane.endpoint_id, lane.has_retries, count)]
    retries = math.ceil(count / 4) if count > 1 else 0
    both = Want(lane.endpoint_id, False, count - retries), Want(lane.endpoint_id, True, retries)
    return [want for want in both if want.count]


# A rate limit, kept exactly by any number of dispatchers (GCRA, the leaky bucket as a meter)


class Grant(msgspec.Struct, frozen=True):
    """How many may go now, and the meter afterwards."""

    count: int
    meter: datetime


def grant(meter: datetime | None, *, per_second: int, wanted: int, now: datetime) -> Grant:
    """Let up to `wanted` through without exceeding `per_second` in any second; bursts of a tenth of it are allowed."""
    assert per_second >= 1, per_second
    burst = math.ceil(per_second / 10)
    step = timedelta(seconds=1) / (per_second - burst + 1)
    start = max(meter or now, now)
    fits = math.floor((now + step * burst - start) / step)
    count = max(0, min(wanted, fits))
    return Grant(count, start + step * count)


def opens_at(meter: datetime, *, per_second: int) -> datetime:
    """When the meter lets the next one through."""
    burst = math.ceil(per_second / 10)
    return meter - timedelta(seconds=1) / (per_second - burst + 1) * (burst - 1)
