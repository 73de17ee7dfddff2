"""What became of a hand-over: pure, so that each class of failure can be told from the server's words."""

from datetime import datetime, timedelta
from typing import Literal

import aiosmtplib
import msgspec

Class = Literal["temporary", "permanent"]

SCHEDULE = (
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6),
    timedelta(hours=12), timedelta(hours=24),
)  # fmt: skip
"""Waits after each temporary failure; about two days in all, as mail servers do."""

JITTER = 0.1


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A hand-over that did not happen."""

    kind: Class
    code: str
    reason: str


def failure_of(error: Exception) -> Failure:
    """Whether another try can help (RFC 5321, 4.2.1: 4yz may, 5yz will not)."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        worst = max(error.recipients, key=lambda refused: refused.code >= 500)
        return _by_code(worst.code, worst.message)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        # our credentials, not the recipient's address: an operator mends them, and the mail still goes
        return Failure(kind="temporary", code="smtp_login_refused", reason=_line(error))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _by_code(error.code, error.message)
    return Failure(kind="temporary", code="smtp_unreachable", reason=_line(error))


def _by_code(code: int, message: str) -> Failure:
    kind: Class = "permanent" if 500 <= code < 600 else "temporary"
    return Failure(kind=kind, code=f"smtp_{code}", reason=f"{code} {' '.join(str(message).split())}"[:500])


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def next_attempt(*, attempts: int, now: datetime, dice: float) -> datetime | None:
    """When to try again after so many attempts, or None once the schedule is spent. `dice` is in [0, 1)."""
    assert attempts >= 1, attempts
    if attempts > len(SCHEDULE):
        return None
    return now + SCHEDULE[attempts - 1] * (1 - JITTER + 2 * JITTER * dice)
