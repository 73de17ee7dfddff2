"""The one place that reads the clock; everything below the edge gets the time as an argument."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The current instant, in UTC."""
    return datetime.now(UTC)


def today(timezone: str, *, at: datetime | None = None) -> date:
    """The calendar day of a tenant's IANA time zone, now or at an instant."""
    return (at or now()).astimezone(ZoneInfo(timezone)).date()
