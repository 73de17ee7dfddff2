"""Where mails go: a mail server, or a directory where they stay and can be read.

Handing over is in two halves. `open_envelope` does all that can fail without a trace at the receiver: connecting, TLS,
login, and asking whether the recipients are welcome. Only `Envelope.post` lets the message go. Between the two the
caller records that it is about to; so after a crash it is known which mails may have left.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import msgspec

from services.notifier.mail.outcomes import Failure, failure_of

TIMEOUT_SECONDS = 30.0


class Undeliverable(Exception):
    """The mail cannot be handed over, and nothing of it has left."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Envelope(Protocol):
    """A hand-over that is ready to happen."""

    refused: list[str]
    """Copies that the server does not take; the mail itself goes all the same."""

    async def post(self, message: EmailMessage) -> None:
        """Let it go."""


class PostOffice(Protocol):
    """A way for mails."""

    def open_envelope(self, sender: str, recipients: list[str]) -> AbstractAsyncContextManager[Envelope]:
        """Prepare a hand-over; raises Undeliverable."""


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """`smtp://user:password@host:587` (STARTTLS required), `smtps://…:465` (TLS), `smtp+insecure://…` (no TLS)."""

    host: str
    port: int
    user: str | None
    password: str | None
    mode: str

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Raises ValueError with the reason."""
        parts = urlsplit(url)
        ports = {"smtp": 587, "smtps": 465, "smtp+insecure": 25}
        if parts.scheme not in ports or not parts.hostname:
            raise ValueError("must be smtp://, smtps:// or smtp+insecure:// with a host")
        return cls(
            host=parts.hostname,
            port=parts.port or ports[parts.scheme],
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            mode=parts.scheme,
        )


class SmtpOffice:
    """Hands over to a mail server, over TLS unless it is told in so many words to do without."""

    def __init__(self, server: SmtpServer, *, ca_file: str | None = None) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=ca_file)

    @asynccontextmanager
    async def open_envelope(self, sender: str, recipients: list[str]) -> AsyncIterator[Envelope]:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            timeout=TIMEOUT_SECONDS,
            use_tls=server.mode == "smtps",
            start_tls=server.mode == "smtp",
            tls_context=self._tls,
            username=server.user,
            password=server.password,
        )
        envelope = await self._open(client, sender, recipients)
        try:
            yield envelope
        finally:
            await _leave(client)

    async def _open(self, client: aiosmtplib.SMTP, sender: str, recipients: list[str]) -> "_SmtpEnvelope":
        try:
            await client.connect()
            return await self._prepare(client, sender, recipients)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            raise Undeliverable(failure_of(error)) from error

    async def _prepare(self, client: aiosmtplib.SMTP, sender: str, recipients: list[str]) -> "_SmtpEnvelope":
        await client.mail(sender, encoding="utf-8", options=_options(client))
        await client.rcpt(recipients[0], encoding="utf-8")
        refused = []
        for copy in recipients[1:]:
            try:
                await client.rcpt(copy, encoding="utf-8")
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(f"{copy}: {error.code} {error.message}")
        return _SmtpEnvelope(client, refused)


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye; whether that is heard changes nothing any more."""
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()


def _options(client: aiosmtplib.SMTP) -> list[str]:
    return ["SMTPUTF8"] if client.supports_extension("smtputf8") else []


class _SmtpEnvelope:
    def __init__(self, client: aiosmtplib.SMTP, refused: list[str]) -> None:
        self._client = client
        self.refused = refused

    async def post(self, message: EmailMessage) -> None:
        await self._client.data(message.as_bytes())


class LocalOffice:
    """Keeps mails as files, newest last; nothing leaves the machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @asynccontextmanager
    async def open_envelope(self, sender: str, recipients: list[str]) -> AsyncIterator[Envelope]:  # noqa: ARG002 - one protocol
        self.directory.mkdir(parents=True, exist_ok=True)
        yield _LocalEnvelope(self.directory)


class _LocalEnvelope:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.refused: list[str] = []

    async def post(self, message: EmailMessage) -> None:
        """Written under another name first, so that no reader sees half a mail."""
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        path = self._directory / f"{name}.eml"
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(message.as_bytes())
        unfinished.replace(path)
