"""Kept mails read back from the directory, for the pages of `make run`."""

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from uuid import UUID

import msgspec

MAX_LISTED = 200


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An attachment."""

    filename: str
    content_type: str
    content: bytes


class KeptMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that stayed."""

    tenant_id: UUID
    id: UUID
    headers: list[tuple[str, str]]
    subject: str
    to: str
    date: str
    text: str
    html: str
    attachments: list[Part]


def newest(directory: Path) -> Iterator[KeptMail]:
    """The latest mails, newest first."""
    paths = sorted(directory.glob("*/*.eml"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[:MAX_LISTED]:
        yield _read(path)


def find(directory: Path, tenant_id: UUID, mail_id: UUID) -> KeptMail | None:
    """One mail. Both names are UUIDs, so that no path can be meant."""
    path = directory / str(tenant_id) / f"{mail_id}.eml"
    return _read(path) if path.is_file() else None


def _read(path: Path) -> KeptMail:
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage), type(message)
    return KeptMail(
        tenant_id=UUID(path.parent.name),
        id=UUID(path.stem),
        headers=[(name, str(value)) for name, value in message.items()],
        subject=str(message["Subject"]),
        to=str(message["To"]),
        date=str(message["Date"]),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        attachments=[_part(part) for part in message.iter_attachments()],
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part is not None else ""


def _part(part: EmailMessage) -> Part:
    content = part.get_content()
    raw = content if isinstance(content, bytes) else str(content).encode()
    return Part(filename=part.get_filename() or "attachment", content_type=part.get_content_type(), content=raw)
