"""What a bank file is made of: rows that may become payments, and rows that may not, each with its reason."""

import re
from datetime import date

import msgspec

MAX_CENTS = 999_999_999_999  # 9,999,999,999.99, the bound of every amount in the API
MAX_TEXT_CHARACTERS = 500
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\u202f\ufeff]+")
NOTHING_SAID = frozenset({"NOTPROVIDED", "NONREF", "NOTAVAILABLE"})  # what SEPA and SWIFT write where a field is empty
CURRENCY = re.compile(r"[A-Z]{3}")


class Unreadable(Exception):
    """The file as a whole, or from some point on, cannot be read; the text says why in words for people."""


class Unfit(Exception):
    """One row lacks what a payment needs; the text says what."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """Money that came in. `number` is the line, or the entry where lines mean nothing; see docs/bank-files.md."""

    number: int
    amount_cents: int
    date: date
    payer: str
    reference: str
    external_id: str
    currency: str | None


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A row that is not imported, and why."""

    row: int
    reason: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """One booking as the bank wrote it, before anybody judged it. A debit is negative."""

    number: int
    signed_cents: int
    date: date
    payer: str = ""
    reference: str = ""
    currency: str | None = None


def refusal(line: Line) -> str | None:
    """Say why this booking is not a customer's payment, or None when it is one."""
    if line.signed_cents == 0:
        return "the amount is zero"
    if line.signed_cents < 0:
        return f"a debit of {spoken(-line.signed_cents)}: money that left the account"
    if line.signed_cents > MAX_CENTS:
        return f"the amount {spoken(line.signed_cents)} is above {spoken(MAX_CENTS)}"
    if line.currency is not None and not CURRENCY.fullmatch(line.currency):
        return f"{line.currency!r} is not a currency code of three letters"
    return None


def spoken(cents: int) -> str:
    """Write cents the way a bookkeeper reads them: 1,234.50."""
    return f"{cents // 100:,}.{cents % 100:02}"


def clean(text: str | None) -> str:
    """Put a text of a bank on one line, without control characters, at most MAX_TEXT_CHARACTERS long."""
    if not text:
        return ""
    if not text.isprintable() or "  " in text:
        text = UNPRINTABLE.sub(" ", text)
    return text.strip()[:MAX_TEXT_CHARACTERS].rstrip()


def joined(*texts: str | None) -> str:
    """Join what says something, leaving out what has been said already."""
    said: list[str] = []
    for text in map(clean, texts):
        if text and text.upper() not in NOTHING_SAID and not any(f" {text} " in f" {earlier} " for earlier in said):
            said.append(text)
    return " ".join(said)[:MAX_TEXT_CHARACTERS].rstrip()
