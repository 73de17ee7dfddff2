"""What becomes of a delivery, an endpoint's health, and who is served next."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.deliveries import model
from services.webhooks.deliveries.model import (
    Answer,
    Delivered,
    GivenUp,
    Gone,
    Lane,
    NoAnswer,
    Retry,
    Want,
)
from services.webhooks.endpoints import health as breaker
from services.webhooks.endpoints.health import Circuit, Health

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HANG = NoAnswer("timed out", 15_000)
PROVEN = Health(last_success_at=NOW)


def answer(status: int, retry_after: int = 0) -> Answer:
    return Answer(status, b"", retry_after, 3)


def fail(health: Health, times: int, now: datetime = NOW) -> Health:
    for _ in range(times):
        health = model.after(health, HANG, now)
    return health


# outcome


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    assert model.outcome(answer(status), attempts=1, now=NOW, dice=0.5) == Delivered()


@pytest.mark.parametrize("status", [301, 302, 304, 400, 401, 404, 422, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    assert model.outcome(answer(status), attempts=1, now=NOW, dice=0.5) == Retry(NOW + timedelta(seconds=5))


def test_410_is_final() -> None:
    assert model.outcome(answer(410), attempts=1, now=NOW, dice=0.5) == Gone()


def test_the_schedule_is_that_of_standard_webhooks_and_ends_after_ten_attempts() -> None:
    waits = []
    for attempts in range(1, 10):
        found = model.outcome(HANG, attempts=attempts, now=NOW, dice=0.5)
        assert isinstance(found, Retry)
        waits.append(found.at - NOW)

    assert [wait / timedelta(hours=1) for wait in waits[3:]] == [2, 5, 10, 14, 20, 24]
    assert waits[:3] == [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)]
    assert model.outcome(HANG, attempts=10, now=NOW, dice=0.5) == GivenUp()


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_moves_a_retry_by_at_most_a_tenth(attempts: int, dice: float) -> None:
    at = model.next_attempt(model.SCHEDULE, attempts=attempts, now=NOW, dice=dice)

    assert at is not None
    assert 0.9 - 1e-6 <= (at - NOW) / model.SCHEDULE[attempts - 1] <= 1.1 + 1e-6


def test_retry_after_puts_the_retry_off_but_never_past_the_longest_step_nor_before_the_schedule() -> None:
    def at(status: int, retry_after: int) -> timedelta:
        found = model.outcome(answer(status, retry_after), attempts=1, now=NOW, dice=0.5)
        assert isinstance(found, Retry)
        return found.at - NOW

    assert at(503, 120) == timedelta(minutes=2)
    assert at(429, 120) == timedelta(minutes=2)
    assert at(429, 1) == timedelta(seconds=5)
    assert at(503, 10**12) == timedelta(hours=24)
    assert at(500, 120) == timedelta(seconds=5)


def test_an_error_says_what_happened() -> None:
    assert model.error_of(answer(204)) is None
    assert model.error_of(answer(302)) == "answered 302; redirects are not followed"
    assert model.error_of(HANG) == "timed out"


# health


def test_the_breaker_opens_after_five_failures_in_a_row_and_closes_on_a_success() -> None:
    health = fail(Health(), 4)
    assert breaker.circuit(health, NOW) is Circuit.CLOSED

    health = fail(health, 1)
    assert breaker.circuit(health, NOW) is Circuit.OPEN
    assert breaker.circuit(health, NOW + timedelta(seconds=31)) is Circuit.HALF_OPEN

    assert model.after(health, answer(200), NOW) == Health(last_success_at=NOW)


def test_a_failed_probe_doubles_the_cooldown_up_to_ten_minutes() -> None:
    health, now, cooldowns = fail(Health(), 5), NOW, []
    for _ in range(7):
        assert health.open_until is not None
        cooldowns.append(health.cooldown_seconds)
        now = health.open_until
        health = model.after(health, HANG, now)

    assert cooldowns == [30, 60, 120, 240, 480, 600, 600]


def test_failures_that_were_in_flight_when_the_breaker_opened_do_not_lengthen_the_cooldown() -> None:
    assert fail(Health(), 50).open_until == NOW + timedelta(seconds=30)


def test_an_open_or_paused_endpoint_has_no_room_and_a_half_open_one_room_for_one_probe() -> None:
    broken = fail(Health(), 5)
    paused = model.after(PROVEN, answer(429, 60), NOW)

    assert breaker.room(broken, limit=16, in_flight=0, now=NOW) == 0
    assert breaker.room(broken, limit=16, in_flight=0, now=NOW + timedelta(seconds=30)) == 1
    assert breaker.room(broken, limit=16, in_flight=1, now=NOW + timedelta(seconds=30)) == 0
    assert breaker.room(paused, limit=16, in_flight=0, now=NOW + timedelta(seconds=59)) == 0
    assert breaker.room(paused, limit=16, in_flight=0, now=NOW + timedelta(seconds=60)) == 8


def test_an_endpoint_that_never_answered_well_gets_only_a_few_slots() -> None:
    assert breaker.room(Health(), limit=20, in_flight=0, now=NOW) == 5
    assert breaker.room(Health(), limit=3, in_flight=0, now=NOW) == 3
    assert breaker.room(PROVEN, limit=20, in_flight=0, now=NOW) == 20


def test_each_failure_in_a_row_halves_the_room_but_leaves_one() -> None:
    rooms = [breaker.room(fail(PROVEN, n), limit=8, in_flight=0, now=NOW) for n in range(5)]

    assert rooms == [8, 4, 2, 1, 1]


def test_429_without_a_hint_pauses_the_endpoint_for_half_a_minute() -> None:
    assert model.after(Health(), answer(429), NOW).paused_until == NOW + timedelta(seconds=30)


def test_five_days_without_a_success_disable_the_endpoint() -> None:
    health = fail(Health(), 1)

    assert not breaker.must_disable(
        fail(health, 1, NOW + timedelta(days=4, hours=23)), NOW + timedelta(days=4, hours=23)
    )
    assert breaker.must_disable(fail(health, 1, NOW + timedelta(days=5)), NOW + timedelta(days=5))
    assert not breaker.must_disable(model.after(health, answer(200), NOW), NOW + timedelta(days=9))


# fairness


@given(st.integers(0, 500), st.lists(st.integers(0, 100), max_size=20))
def test_shares_use_all_there_is_and_nobody_gets_less_than_another_who_got_more_than_they_wanted(
    total: int, caps: list[int]
) -> None:
    shares = model.fair_shares(total, caps)

    assert sum(shares) == min(total, sum(caps))
    assert all(0 <= share <= cap for share, cap in zip(shares, caps, strict=True))
    hungry = [share for share, cap in zip(shares, caps, strict=True) if share < cap]
    assert not hungry or max(shares) - min(hungry) <= 1


def lane(tenant: int, endpoint: int, room: int, *, first: bool = True, retries: bool = False) -> Lane:
    return Lane(
        tenant_id=UUID(int=tenant), endpoint_id=UUID(int=endpoint), room=room, has_first=first, has_retries=retries
    )


def test_a_tenant_with_many_endpoints_does_not_crowd_out_one_with_a_single_endpoint() -> None:
    lanes = [lane(1, n, 16) for n in range(50)] + [lane(2, 99, 16)]

    wants = model.choose(lanes, total=32, tenant_rooms={UUID(int=1): 1000, UUID(int=2): 1000})

    assert sum(want.count for want in wants if want.endpoint_id == UUID(int=99)) == 16
    assert sum(want.count for want in wants) == 32


def test_a_tenant_never_gets_more_than_its_own_bound() -> None:
    wants = model.choose([lane(1, n, 16) for n in range(9)], total=500, tenant_rooms={UUID(int=1): 20})

    assert sum(want.count for want in wants) == 20


def test_first_attempts_and_retries_share_an_endpoint() -> None:
    both = lane(1, 1, 8, first=True, retries=True)

    assert model.split(both, 8) == [Want(UUID(int=1), False, 6), Want(UUID(int=1), True, 2)]
    assert model.split(both, 1) == [Want(UUID(int=1), False, 1)]
    assert model.split(msgspec.structs.replace(both, has_first=False), 8) == [Want(UUID(int=1), True, 8)]
    assert model.split(both, 0) == []


# rate limit


@given(st.integers(1, 200), st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_no_second_ever_sees_more_than_the_limit(per_second: int, gaps_ms: list[int]) -> None:
    now, meter, sent = NOW, None, list[datetime]()
    for gap in gaps_ms:
        now += timedelta(milliseconds=gap)
        granted = model.grant(meter, per_second=per_second, wanted=500, now=now)
        meter = granted.meter
        sent += [now] * granted.count

    for start in sent:
        assert sum(start <= at < start + timedelta(seconds=1) for at in sent) <= per_second


def test_the_limit_is_reached_when_there_is_enough_to_send_and_the_meter_says_when_it_opens() -> None:
    now, meter, count = NOW, None, 0
    while now < NOW + timedelta(seconds=10):
        granted = model.grant(meter, per_second=10, wanted=5, now=now)
        meter, count = granted.meter, count + granted.count
        now = max(now + timedelta(milliseconds=1), model.opens_at(meter, per_second=10))

    assert 95 <= count <= 101
