"""Which failures are worth another try."""

from datetime import UTC, datetime, timedelta

import aiosmtplib
import pytest

from services.notifier.mail.outcomes import SCHEDULE, failure_of, next_attempt
from services.notifier.mail.postoffice import SmtpServer

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (aiosmtplib.SMTPResponseException(451, "greylisted"), "temporary", "smtp_451"),
        (aiosmtplib.SMTPResponseException(421, "closing"), "temporary", "smtp_421"),
        (aiosmtplib.SMTPDataError(552, "too large"), "permanent", "smtp_552"),
        (aiosmtplib.SMTPRecipientRefused(550, "no such user", "a@b.example"), "permanent", "smtp_550"),
        (
            aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(450, "busy", "a@b.example")]),
            "temporary",
            "smtp_450",
        ),
        (aiosmtplib.SMTPAuthenticationError(535, "bad password"), "temporary", "smtp_login_refused"),
        (aiosmtplib.SMTPConnectError("refused"), "temporary", "smtp_unreachable"),
        (aiosmtplib.SMTPServerDisconnected("gone"), "temporary", "smtp_unreachable"),
        (TimeoutError(), "temporary", "smtp_unreachable"),
        (OSError("no route"), "temporary", "smtp_unreachable"),
    ],
)
def test_the_servers_words_tell_whether_to_try_again(error: Exception, kind: str, code: str) -> None:
    failure = failure_of(error)

    assert (failure.kind, failure.code) == (kind, code)
    assert "\n" not in failure.reason


def test_waits_grow_to_about_two_days_and_then_end() -> None:
    waits = [next_attempt(attempts=n, now=NOW, dice=0.5) for n in range(1, len(SCHEDULE) + 1)]

    assert all(wait is not None for wait in waits)
    assert waits == sorted(wait for wait in waits if wait)
    assert timedelta(days=1) < sum(SCHEDULE, timedelta()) < timedelta(days=3)
    assert next_attempt(attempts=len(SCHEDULE) + 1, now=NOW, dice=0.5) is None


@pytest.mark.parametrize("dice", [0.0, 0.999])
def test_jitter_is_ten_percent(dice: float) -> None:
    at = next_attempt(attempts=2, now=NOW, dice=dice)

    assert at is not None
    assert abs((at - NOW) / SCHEDULE[1] - 1) <= 0.1


@pytest.mark.parametrize(
    ("url", "port", "mode"),
    [
        ("smtp://mail.example", 587, "smtp"),
        ("smtps://mail.example", 465, "smtps"),
        ("smtp+insecure://mail:1025", 1025, "smtp+insecure"),
    ],
)
def test_a_mail_servers_address_says_how_to_reach_it(url: str, port: int, mode: str) -> None:
    server = SmtpServer.parse(url)

    assert (server.port, server.mode) == (port, mode)


def test_user_and_password_are_decoded() -> None:
    server = SmtpServer.parse("smtp://us%40er:p%2Fw@mail.example")

    assert (server.user, server.password) == ("us@er", "p/w")


@pytest.mark.parametrize("url", ["http://mail.example", "mail.example:25", "smtp://"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        SmtpServer.parse(url)
