"""One mail as bytes: built with the standard library's modern email package, which refuses line breaks in headers."""

import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID

import msgspec

CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
LOCAL_PART = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}")
DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
MAX_NAME_CHARACTERS = 200


class AddressWrong(ValueError):
    """An email address that cannot be written to."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes along."""

    filename: str
    content_type: str
    content: bytes


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent, to whom and by whom."""

    communication_id: UUID
    sender_name: str
    sender_address: str
    reply_to: str | None
    to_name: str
    to_address: str
    cc: Sequence[str] = ()
    subject: str
    text: str
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    unsubscribe_url: str | None = None

    @property
    def recipients(self) -> list[str]:
        """Everybody whom the server is asked to deliver to."""
        return [wire_address(address) for address in dict.fromkeys([self.to_address, *self.cc])]


def message_id(communication_id: UUID, domain: str) -> str:
    """The same for the same communication whatever happens in between, so that a copy can be recognised as one."""
    return f"<{communication_id}@{domain}>"


def build(mail: Mail, *, at: datetime) -> EmailMessage:
    """The message; raises AddressWrong."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(mail.sender_name, mail.sender_address)
    message["To"] = _address(mail.to_name, mail.to_address)
    if mail.cc:
        message["Cc"] = [_address("", address) for address in mail.cc]
    if mail.reply_to:
        message["Reply-To"] = _address(mail.sender_name, mail.reply_to)
    message["Subject"] = one_line(mail.subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id(mail.communication_id, mail.sender_address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notices back, please
    if mail.unsubscribe_url:  # RFC 2369 and RFC 8058
        message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=safe_filename(attachment.filename)
        )
    return message


def one_line(text: str) -> str:
    """A header's text: control characters, and line breaks with them, become single spaces."""
    return CONTROL.sub(" ", text).strip()


def safe_filename(name: str) -> str:
    """A name that no file system reads as a path."""
    return re.sub(r"[\\/:*?\"<>|]+", "-", one_line(name))[:150].strip(". ") or "document"


def wire_address(address: str) -> str:
    """The address as SMTP takes it: the domain in ASCII. Raises AddressWrong."""
    local, at, domain = address.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode() if domain else ""
    except UnicodeError:
        ascii_domain = ""
    if not at or not LOCAL_PART.fullmatch(local) or not DOMAIN.fullmatch(ascii_domain):
        raise AddressWrong(f"{address!r} is not an email address")
    return f"{local}@{ascii_domain}"


def _address(name: str, address: str) -> Address:
    local, _, domain = wire_address(address).rpartition("@")
    return Address(display_name=one_line(name)[:MAX_NAME_CHARACTERS], username=local, domain=domain)
