"""SWIFT MT940, one booking at a time.

The mt-940 library reads the fields :61: and :86:. It would keep all bookings of a file and stop at the first wrong one,
so the file is cut into bookings here, each with the number of its line.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO

from mt940 import Options
from mt940.models import Amount, Date, Transactions

from services.payments.imports.formats.identity import Identities
from services.payments.imports.formats.rows import Line, Rejected, Row, Unreadable, clean, joined, refusal
from services.payments.imports.formats.text import decoded, numbered_lines

# The library logs the text of what it cannot read, and whose payments those were is nobody's business.
logging.getLogger("mt940").setLevel(logging.CRITICAL)

TAG = re.compile(r":(?P<tag>\d{2}[A-Z]?|NS):(?P<value>.*)", re.DOTALL)
BALANCE = re.compile(r"[CD]\d{6}(?P<currency>[A-Z]{3})")
# The fields of the slash form of :86: that Dutch and Belgian banks write: /EREF/…/NAME/…/REMI/…
SLASH_FIELD = re.compile(
    r"/(EREF|MARF|CSID|CNTP|REMI|PURP|ULTC|ULTD|TRTP|IBAN|BIC|NAME|ORDP|BENM|ISDT|PREF|TRCD|RTRN|ADDR|ID|ACCW|BUSP|SVCL)/"
)
LOOK_ELSEWHERE = frozenset({"EREF", "KREF", "MREF", "MARF", "PREF", "CREF"})
MAX_BOOKING_LINES = 200
OPTIONS = Options.all()


@dataclass
class Booking:
    """The lines of one :61: with the :86: behind it."""

    number: int
    lines: list[str] = field(default_factory=list)


@dataclass
class Statement:
    """What the fields above the bookings say."""

    account: str = ""
    currency: str | None = None


def rows(file: BinaryIO) -> Iterator[Row | Rejected]:
    """Yield what each booking is. Its number is the line of its :61:."""
    identities = Identities("mt940")
    with decoded(file) as text:
        for statement, booking in bookings(numbered_lines(text)):
            yield judged(booking, statement, identities)


def bookings(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[Statement, Booking]]:
    """Cut the lines into bookings."""
    statement, booking, is_any = Statement(), None, False
    for number, line in lines:
        tag, value = tag_of(line)
        is_any = is_any or tag is not None
        if booking and (tag not in {None, "86", "NS"} or is_end(line)):
            yield statement, booking
            booking = None
        if tag == "61":
            booking = Booking(number)
        elif tag:
            note(statement, tag, value)
        if booking:
            keep(booking, line)
    if booking:
        yield statement, booking
    if not is_any:
        raise Unreadable("the file holds no field of MT940")


def tag_of(line: str) -> tuple[str | None, str]:
    """Split a line into its tag and its value; a line that continues the field above has no tag."""
    match = TAG.match(line)
    return (match["tag"], match["value"].strip()) if match else (None, line)


def is_end(line: str) -> bool:
    """Tell the end of a message."""
    return line.strip() in {"-", "-}"} or line.startswith("-}")


def note(statement: Statement, tag: str, value: str) -> None:
    """Remember the account and the currency; a new message begins without those of the last."""
    if tag == "20":
        statement.account, statement.currency = "", None
    elif tag.startswith("25"):
        statement.account = clean(value)
    elif tag.startswith("60") and (match := BALANCE.match(value)):
        statement.currency = match["currency"]


def keep(booking: Booking, line: str) -> None:
    """Add a line to a booking, which has few in any real file."""
    if len(booking.lines) >= MAX_BOOKING_LINES:
        raise Unreadable(f"the booking at line {booking.number} goes on for more than {MAX_BOOKING_LINES} lines")
    booking.lines.append(line.rstrip("\r\n"))


# One booking


def judged(booking: Booking, statement: Statement, identities: Identities) -> Row | Rejected:
    """Read one booking and decide."""
    fields = fields_of(booking)
    if fields is None:
        return Rejected(booking.number, "the booking cannot be read: field :61: is not as SWIFT defines it")
    line = line_of(booking.number, fields, statement.currency)
    reason_not = reversal(fields) or refusal(line)
    return Rejected(booking.number, reason_not) if reason_not else identities.row(line, account=statement.account)


def fields_of(booking: Booking) -> dict[str, Any] | None:
    """Let the library read the fields, or say that it cannot."""
    transactions = Transactions(options=OPTIONS)
    try:
        transactions.parse("\n".join(booking.lines))
    except (RuntimeError, ValueError, ArithmeticError):
        return None
    return transactions[0].data if len(transactions) else None


def reversal(fields: dict[str, Any]) -> str | None:
    """Say that a booking takes back an earlier one."""
    return "a reversal of an earlier booking, not a payment" if str(fields["status"]).upper().startswith("R") else None


def line_of(number: int, fields: dict[str, Any], currency: str | None) -> Line:
    """Read the fields of a booking."""
    amount, day = fields["amount"], fields.get("entry_date") or fields["date"]
    assert isinstance(amount, Amount), amount
    assert isinstance(day, Date), day
    payer, texts = party_and_texts(fields)
    return Line(
        number=number,
        signed_cents=int(amount.amount * 100),
        date=date(day.year, day.month, day.day),
        payer=clean(payer),
        reference=joined(*texts),
        currency=currency,
    )


def party_and_texts(fields: dict[str, Any]) -> tuple[str, list[str | None]]:
    """Find payer and reference in whichever of the three forms of :86: the bank writes."""
    own = [*own_references(fields), fields.get("end_to_end_reference")]
    free = fields.get("transaction_details")
    if free is None:
        return fields.get("applicant_name") or "", [fields.get("purpose"), fields.get("additional_purpose"), *own]
    parts = slash_fields(free)
    if not parts:
        return "", [*own, free, fields.get("extra_details")]
    return slash_payer(parts), [slash_remittance(parts), parts.get("EREF"), *own]


def own_references(fields: dict[str, Any]) -> list[str]:
    """Read the customer's reference of :61:, which is often only a word that says to look into :86:."""
    words = str(fields.get("customer_reference") or "").split("\n")
    return [word for word in words if word not in LOOK_ELSEWHERE]


def slash_fields(text: str) -> dict[str, str]:
    """Split the slash form into its fields."""
    pieces = SLASH_FIELD.split(text.replace("\n", ""))
    return {name: value.strip("/ ") for name, value in zip(pieces[1::2], pieces[2::2], strict=True)}


def slash_payer(parts: dict[str, str]) -> str:
    """Find the payer: NAME, or the third part of CNTP/account/bank/name."""
    counterparty = [*parts.get("CNTP", "").split("/"), "", "", ""]
    return parts.get("NAME") or counterparty[2]


def slash_remittance(parts: dict[str, str]) -> str:
    """Read the remittance text, without the word that says whether it has a structure."""
    text = parts.get("REMI", "")
    return re.sub(r"^(USTD|STRD)/+|^(CUR|ISO)/+", "", text)
