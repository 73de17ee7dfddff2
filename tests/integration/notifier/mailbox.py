"""A real SMTP server for tests (aiosmtpd): it keeps what it accepts, and fails as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

Answer = str | None
"""An SMTP reply, or None for the good one."""


@dataclass
class Mailbox:
    """What arrived, and how the server behaves."""

    port: int = 0
    ca_file: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    answer_recipient: Callable[[str], Answer] = lambda _: None
    answer_data: Callable[[], Answer] = lambda: None
    after_data: Callable[[], Any] = lambda: None

    transports: list[asyncio.BaseTransport] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what arrived, and behave."""
        self.mails.clear()
        self.recipients.clear()
        self.transports.clear()
        self.answer_recipient, self.answer_data, self.after_data = lambda _: None, lambda: None, lambda: None

    def hang_up(self) -> None:
        """Cut all connections, as a network does."""
        for transport in self.transports:
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self.answer_recipient(address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        refused = self.answer_data()
        if refused is None:
            content = envelope.content
            assert isinstance(content, bytes)
            message = message_from_bytes(content, policy=default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
            assert server.transport is not None
            self.transports.append(server.transport)
            self.recipients.append(list(envelope.rcpt_tos))
            waited = self.after_data()
            if asyncio.iscoroutine(waited):
                await waited
        return refused or "250 accepted"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Take one password."""
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"sesame", handled=True)


@asynccontextmanager
async def mailbox(directory: Path, *, tls: str = "starttls", login: bool = False) -> AsyncIterator[Mailbox]:
    """A server on a free port; `tls` is `starttls`, `implicit` or `none`."""
    box = Mailbox()
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    box.ca_file = str(ca_file)

    def protocol() -> SMTP:
        return SMTP(
            box,
            enable_SMTPUTF8=True,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=box.authenticate if login else None,
            auth_required=login,
            auth_require_tls=tls == "starttls",
        )

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=context if tls == "implicit" else None
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
