"""The one place that reads the clock; everything below the edge gets the time as an argument."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The current instant, in UTC."""
    return datetime.now(UTC)


def today(timezone: str, *, at: datetime | None = None) -> date:
    """The calendar day of a tenant's IANA time zone, now or at an instant."""
    return (at or now()).astimezone(ZoneInfo(timezone)).date()


class SharedClock:
    """The database's time, carried on by the monotonic clock from one look to the next.

    It is the same on all hosts, and jumps on none: for what one process writes down and another one waits for.
    """

    def __init__(self) -> None:
        self.set(now())

    def set(self, instant: datetime) -> None:
        """Take over what the database says that it is now."""
        self._instant, self._set_at = instant, time.monotonic()

    def now(self) -> datetime:
        """The current instant, in UTC."""
        return self._instant + timedelta(seconds=time.monotonic() - self._set_at)
