"""Settings of the notifier: `ARPILOT_NOTIFIER_…`."""

from typing import Annotated

from msgspec import Meta

from shared.config import ServiceConfig


class NotifierConfig(ServiceConfig, frozen=True, kw_only=True):
    """What the notifier has of its own."""

    smtp_url: Annotated[
        str | None,
        Meta(
            description="mail server: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465` (TLS), "
            "`smtp+insecure://…` (no TLS); none: mails are kept in the mail directory and shown at /dev/mail"
        ),
    ] = None
    smtp_ca_file: Annotated[
        str | None, Meta(description="certificates to trust the mail server by, beside the system's")
    ] = None
    mail_dir: Annotated[
        str | None, Meta(description="where mails that may not leave are kept; `<data dir>/mail` by default")
    ] = None
    mail_from: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$", description="address that mails come from")] = (
        "invoices@arpilot.localhost"
    )
    senders: Annotated[int, Meta(ge=1, le=100, description="mails handed over at once by one process")] = 4
    poll_seconds: Annotated[float, Meta(gt=0, le=60, description="how often due mails are looked for")] = 1.0
