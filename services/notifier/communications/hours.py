"""Business hours in a customer's time zone, through changes to and from summer time: pure."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

SEARCH_DAYS = 14


class BusinessHours(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when, and on which days of the week (Monday is 1)."""

    start: time = time(9)
    end: time = time(17)
    days: Sequence[int] = (1, 2, 3, 4, 5)


def next_opening(hours: BusinessHours, at: datetime, timezone: str) -> datetime:
    """This instant if it is within business hours there, else the next opening. Aware in, UTC-comparable out."""
    assert hours.days, "no business day"
    zone = ZoneInfo(timezone)
    first = at.astimezone(zone).date()
    for offset in range(SEARCH_DAYS):
        day = first + timedelta(days=offset)
        opening, closing = _instant(day, hours.start, zone), _instant(day, hours.end, zone)
        if day.isoweekday() in hours.days and at < closing:
            return max(at, opening)
    raise AssertionError("some day of two weeks is a business day")


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A wall-clock time as an instant: one that a change of the clocks skips counts with the offset before it, as
    `fold=0` does, and of one that happens twice the first counts."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(ZoneInfo("UTC"))
