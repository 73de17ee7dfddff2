"""Business hours where the customer is, through changes of the clocks."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.communications.hours import BusinessHours, next_opening
from services.notifier.communications.model import next_day

OFFICE = BusinessHours()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "opening"),
    [
        ("2026-11-23 10:00", "UTC", "2026-11-23 10:00"),
        ("2026-11-23 08:59", "UTC", "2026-11-23 09:00"),
        ("2026-11-23 17:00", "UTC", "2026-11-24 09:00"),
        ("2026-11-20 18:00", "UTC", "2026-11-23 09:00"),
        ("2026-11-23 00:30", "America/Los_Angeles", "2026-11-23 17:00"),
        ("2026-11-23 12:00", "Asia/Tokyo", "2026-11-24 00:00"),
        ("2026-11-23 12:00", "Asia/Kathmandu", "2026-11-24 03:15"),
        ("2026-11-23 12:00", "Pacific/Kiritimati", "2026-11-23 19:00"),
    ],
)
def test_a_mail_waits_for_the_customers_next_opening(at: str, zone: str, opening: str) -> None:
    assert next_opening(OFFICE, utc(at), zone) == utc(opening)


def test_nine_oclock_is_another_instant_after_the_clocks_change() -> None:
    friday, monday = utc("2026-03-27 05:00"), utc("2026-03-28 05:00")

    assert next_opening(OFFICE, friday, "Europe/Berlin") == utc("2026-03-27 08:00")
    assert next_opening(OFFICE, monday, "Europe/Berlin") == utc("2026-03-30 07:00")


def test_an_opening_that_the_clocks_skip_comes_at_the_end_of_the_gap() -> None:
    night = BusinessHours(start=time(2, 30), end=time(4), days=(7,))

    assert next_opening(night, utc("2026-03-28 12:00"), "Europe/Berlin") == utc("2026-03-29 01:30")


def test_of_an_opening_that_happens_twice_the_first_counts() -> None:
    night = BusinessHours(start=time(2, 30), end=time(4), days=(7,))

    assert next_opening(night, utc("2026-10-24 12:00"), "Europe/Berlin") == utc("2026-10-25 00:30")


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Tokyo", "America/Santiago")


@given(at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)), zone=st.sampled_from(ZONES))  # noqa: DTZ001
def test_an_opening_is_never_in_the_past_and_always_within_hours(at: datetime, zone: str) -> None:
    from zoneinfo import ZoneInfo

    opening = next_opening(OFFICE, at, zone)
    there = opening.astimezone(ZoneInfo(zone))

    assert opening >= at
    assert time(9) <= there.time() < time(17)
    assert there.isoweekday() <= 5
    assert next_opening(OFFICE, opening, zone) == opening


@pytest.mark.parametrize(
    ("at", "zone", "next_midnight"),
    [
        ("2026-11-21 10:00", "UTC", "2026-11-22 00:00"),
        ("2026-11-21 23:30", "Europe/Berlin", "2026-11-22 23:00"),
        ("2026-03-28 23:30", "Europe/Berlin", "2026-03-29 22:00"),
    ],
)
def test_a_daily_limit_is_new_at_the_tenants_midnight(at: str, zone: str, next_midnight: str) -> None:
    assert next_day(utc(at), zone) == utc(next_midnight)
