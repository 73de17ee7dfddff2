"""The ways for mails that a process has: the mail server, and a directory for what may not leave."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import structlog

from services.notifier.config import NotifierConfig
from services.notifier.mail.postoffice import LocalOffice, PostOffice, SmtpOffice, SmtpServer
from shared.app import Runtime
from shared.config import WrongSetting

log = structlog.get_logger("mail")


class Offices:
    """Chooses the way of a mail: a live tenant's goes to the mail server, a test tenant's stays."""

    def __init__(self, server: SmtpOffice | None, local: LocalOffice) -> None:
        self.server = server
        self.local = local

    def of(self, tenant_id: UUID, *, live: bool) -> PostOffice:
        """The way for a tenant's mail; kept mails lie in a directory per tenant."""
        if live and self.server is not None:
            return self.server
        return LocalOffice(self.local.directory / str(tenant_id))


@asynccontextmanager
async def offices(runtime: Runtime) -> AsyncIterator[object]:
    """The resource: raises WrongSetting for a mail server that cannot be meant."""
    config = runtime.config
    assert isinstance(config, NotifierConfig)
    local = LocalOffice(Path(config.mail_dir or Path(runtime.settings.data_dir) / "mail"))
    if config.smtp_url is None:
        log.warning("no mail server is set: mails stay here", directory=str(local.directory))
        yield Offices(None, local)
        return
    try:
        server = SmtpServer.parse(config.smtp_url)
    except ValueError as error:
        raise WrongSetting(f"ARPILOT_NOTIFIER_SMTP_URL {error}.") from None
    if server.mode == "smtp+insecure":
        log.warning("mails travel without TLS", server=f"{server.host}:{server.port}")
    yield Offices(SmtpOffice(server, ca_file=config.smtp_ca_file), local)
