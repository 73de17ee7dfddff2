"""Mails as bytes, parsed back as a receiver does."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.notifier.mail.message import AddressWrong, Attachment, Mail, build, safe_filename, wire_address

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
MAIL = Mail(
    communication_id=UUID(int=7),
    sender_name="Halvorsen & Müller",
    sender_address="invoices@sender.example",
    reply_to="ar@halvorsen.example",
    to_name="Kari Nordmann",
    to_address="kari@nordlicht.example",
    subject="Invoice INV-1",
    text="Hello",
    html="<p>Hello</p>",
)


def received(**changes: Any) -> EmailMessage:
    """What arrives at the other end."""
    message = message_from_bytes(build(msgspec.structs.replace(MAIL, **changes), at=AT).as_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize(
    "evil", ["A\r\nBcc: evil@example.com", "A\nX-Evil: 1", "A\x00B", "A\u2028Bcc: x@y.example", "A\rB"]
)
def test_no_text_makes_a_header_of_its_own(evil: str) -> None:
    mail = received(subject=evil, sender_name=evil, to_name=evil)

    assert set(mail.keys()) == {
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert len(mail["To"].addresses) == 1
    assert mail["To"].addresses[0].addr_spec == "kari@nordlicht.example"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b@c",
        "a b@c.example",
        "a@",
        "@b.example",
        "a@b.example\r\nRCPT TO:<x@y.example>",
        "a@b.example, c@d.example",
        "<a@b.example>",
        "a;b@c.example",
        "a@exa mple.com",
        "a@-x.example",
        "a@b..example",
    ],
)
def test_what_is_no_address_is_not_written_to(address: str) -> None:
    with pytest.raises(AddressWrong):
        build(msgspec.structs.replace(MAIL, to_address=address), at=AT)


def test_domains_beyond_ascii_travel_as_ascii() -> None:
    assert wire_address("kari@müller.example") == "kari@xn--mller-kva.example"


def test_the_message_id_is_the_same_however_often_it_is_built() -> None:
    later = build(MAIL, at=datetime(2027, 1, 1, tzinfo=UTC))

    assert later["Message-ID"] == build(MAIL, at=AT)["Message-ID"] == f"<{UUID(int=7)}@sender.example>"


def test_names_of_all_scripts_and_attachments_arrive_as_they_were() -> None:
    pdf = Attachment(filename="Rechnung Ü/42.pdf", content_type="application/pdf", content=b"%PDF-1.7")
    mail = received(to_name="株式会社さくら", subject="فاتورة ✓", attachments=(pdf,))

    (part,) = mail.iter_attachments()
    assert mail["To"].addresses[0].display_name == "株式会社さくら"
    assert mail["Subject"] == "فاتورة ✓"
    assert (part.get_filename(), part.get_content_type(), part.get_content()) == (
        "Rechnung Ü-42.pdf",
        "application/pdf",
        b"%PDF-1.7",
    )


def test_text_and_html_say_the_same_and_unsubscribing_takes_one_click() -> None:
    mail = received(unsubscribe_url="https://pay.example.com/unsubscribe/x")

    assert mail.get_body(("plain",)).get_content().strip() == "Hello"  # type: ignore[union-attr]
    assert mail.get_body(("html",)).get_content().strip() == "<p>Hello</p>"  # type: ignore[union-attr]
    assert mail["List-Unsubscribe"] == "<https://pay.example.com/unsubscribe/x>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    ("name", "safe"), [("../../etc/passwd", "-..-etc-passwd"), ("a\r\nb.pdf", "a b.pdf"), ("", "document")]
)
def test_a_filename_is_never_a_path(name: str, safe: str) -> None:
    assert safe_filename(name) == safe
