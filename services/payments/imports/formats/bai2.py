"""BAI2 (Cash Management Balance Reporting, version 2), line by line.

Own, because the packages that exist take the whole file into memory and stop at the first wrong record.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

from services.payments.imports.formats import dates
from services.payments.imports.formats.identity import Identities
from services.payments.imports.formats.originators import originator
from services.payments.imports.formats.rows import Line, Rejected, Row, Unfit, Unreadable, joined, refusal
from services.payments.imports.formats.text import decoded, numbered_lines

MAX_RECORD_LINES = 500
CREDIT_CODES = range(100, 400)
DEBIT_CODES = range(400, 700)
# Credits that take back an earlier debit: reversals, corrections and returned items, by their BAI2 type codes.
RETURN_CODES = frozenset({252, 253, 255, 257, 258})
IGNORED_GROUPS = {"2": "a group that the bank deleted", "4": "a group that is only a test"}
WITHOUT_CENTS = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"})
WHOLE = re.compile(r"[+]?\d{1,18}")


@dataclass
class Record:
    """A record with its continuations (88), and the line where it began."""

    number: int
    lines: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The two digits that say what the record is."""
        return self.lines[0][:2]

    @property
    def fields(self) -> list[str]:
        """The fields of a record without free text."""
        return ",".join(line.rstrip("/") for line in self.lines).split(",")


@dataclass
class Group:
    """What the records around the transactions say."""

    as_of: str = ""
    status: str = "1"
    currency: str = ""
    account: str = ""
    account_currency: str = ""


def rows(file: BinaryIO) -> Iterator[Row | Rejected]:
    """Yield what each transaction is. Its number is the line of its record 16."""
    identities, group, is_complete = Identities("bai2"), Group(), False
    with decoded(file) as text:
        for record in records(numbered_lines(text)):
            if record.code == "16":
                yield judged(record, group, identities)
            else:
                note(group, record)
            is_complete = record.code == "99"
    if not is_complete:
        raise Unreadable("the file ends without its trailer (record 99); it was cut off, or it is no BAI2 file")


def records(lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
    """Put continuations to the record that they continue."""
    record: Record | None = None
    for number, line in lines:
        text = line.strip()
        if record and text.startswith("88,"):
            keep(record, text[3:])
        elif text:
            if record:
                yield record
            record = Record(number, [text])
    if record:
        yield record


def keep(record: Record, text: str) -> None:
    """Add a continuation to a record, which has few in any real file."""
    if len(record.lines) >= MAX_RECORD_LINES:
        raise Unreadable(f"the record at line {record.number} goes on for more than {MAX_RECORD_LINES} lines")
    record.lines.append(text)


def note(group: Group, record: Record) -> None:
    """Remember the date, the status, the account and the currencies."""
    fields = [*record.fields, *[""] * 8]
    if record.code == "02":
        group.status, group.as_of, group.currency = fields[3] or "1", fields[4], fields[6]
    elif record.code == "03":
        group.account, group.account_currency = fields[1], fields[2]


# One transaction


def judged(record: Record, group: Group, identities: Identities) -> Row | Rejected:
    """Read one transaction and decide."""
    try:
        code, line = line_of(record, group)
    except Unfit as reason:
        return Rejected(record.number, str(reason))
    reason_not = refusal_of(code, group) or refusal(line)
    return Rejected(record.number, reason_not) if reason_not else identities.row(line, account=group.account)


def refusal_of(code: int, group: Group) -> str | None:
    """Say why the code or the group keeps a record from being a payment."""
    if group.status in IGNORED_GROUPS:
        return IGNORED_GROUPS[group.status]
    if code in RETURN_CODES:
        return f"a return or reversal of an earlier debit (type code {code}), not a payment"
    return None


def line_of(record: Record, group: Group) -> tuple[int, Line]:
    """Read the fields of a transaction and its type code."""
    code_text, amount, own, customer, text = transaction_fields(record)
    code = type_code(code_text)
    currency = (group.account_currency or group.currency or "").strip().upper() or None
    cents = cents_of(amount, currency)
    return code, Line(
        number=record.number,
        signed_cents=-cents if code in DEBIT_CODES else cents,
        date=as_of(group),
        payer=originator(text),
        reference=joined(text, customer, own),
        currency=currency,
    )


def transaction_fields(record: Record) -> tuple[str, str, str, str, str]:
    """Split a record 16: type code, amount, bank reference, customer reference, text.

    Only the first fields are separated by commas; the text may hold commas, and continues over records 88.
    """
    pieces = [*record.lines]
    fields = pieces.pop(0).rstrip("/").split(",")
    while (missing := 4 + funds_width(fields) + 2 - len(fields)) > 0 and pieces:
        fields += pieces.pop(0).rstrip("/").split(",", missing)
    fields += [""] * max(missing, 0)
    after_funds = 4 + funds_width(fields)
    own, customer, *text = fields[after_funds:]
    return fields[1], fields[2], own, customer, " ".join([",".join(text), *(piece.rstrip("/") for piece in pieces)])


def funds_width(fields: list[str]) -> int:
    """Count the fields that the type of funds brings with it: three for S, two for V, two for each part of D."""
    kind = fields[3].strip().upper() if len(fields) > 3 else ""
    if kind == "D":
        parts = fields[4].strip() if len(fields) > 4 else ""
        return 1 + 2 * int(parts) if parts.isdecimal() and len(parts) <= 3 else 1
    return {"S": 3, "V": 2}.get(kind, 0)


def type_code(text: str) -> int:
    """Read the type code; only credits and debits in detail are bookings."""
    if not (text.isascii() and text.isdigit()):
        raise Unfit(f"{text!r} is not a type code")
    if int(text) not in CREDIT_CODES and int(text) not in DEBIT_CODES:
        raise Unfit(f"type code {text} is neither a credit nor a debit")
    return int(text)


def cents_of(text: str, currency: str | None) -> int:
    """Read an amount, which has the decimals of its currency and no mark; an empty one is zero."""
    digits = text.strip()
    if digits and not WHOLE.fullmatch(digits):
        raise Unfit(f"{digits!r} is not an amount")
    return int(digits or "0") * (100 if currency in WITHOUT_CENTS else 1)


def as_of(group: Group) -> date:
    """Read the date of the group: YYMMDD, or YYYYMMDD as some banks write."""
    return dates.parsed(group.as_of, "%Y%m%d" if len(group.as_of.strip()) == 8 else "%y%m%d")
