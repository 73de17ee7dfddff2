"""Amounts as banks write them: 1,234.56 and 1.234,56 and 1'234.56, with signs before, after, or in brackets."""

import re
from collections.abc import Iterable
from typing import Literal

from services.payments.imports.formats.rows import Unfit

DecimalMark = Literal[",", "."]

AMOUNT = re.compile(
    r"""(?P<bracket>\()?\s*+
        (?P<sign>[-+−])?\s*+
        (?:[A-Z]{3}(?=[\s\d.,+−-])|[$€£¥])?\s*+
        (?P<late_sign>[-+−])?\s*+
        (?P<number>\d[\d.,'’\s]*+|[.,]\d++)
        (?:[A-Z]{3}(?![A-Z])|[$€£¥])?\s*+
        (?P<trail>[-+−]|CR|DR|C|D|H|S)?
        \)?""",
    re.VERBOSE | re.IGNORECASE,
)
"""Each part keeps what it took (`*+`): else a cell full of spaces would be tried in every division among them."""

MAX_CHARACTERS = 100
"""Of an amount with all its signs, spaces and currency; longer texts are something else."""
GROUP_MARKS = re.compile(r"['’\s]")
WHOLE = re.compile(r"\d+|\d{1,3}(?:[.,]\d{2,3})*[.,]\d{3}")
NEGATIVE_TRAILS = frozenset({"-", "−", "DR", "D", "S"})


class NotAnAmount(Unfit):
    """The text cannot be read as an amount; the message says why."""


def signed_cents(text: str, mark: DecimalMark) -> int:
    """Read an amount in major units as signed cents."""
    if text[-3:-2] == mark and text.isascii() and (digits := text[:-3] + text[-2:]).isdigit():
        return int(digits)  # nine of ten amounts are as plain as 1234.56
    text = text.strip()
    if not text:
        raise NotAnAmount("the row has no amount")
    match = AMOUNT.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if match is None or (match["sign"] and match["late_sign"]):
        raise NotAnAmount(f"{text[:MAX_CHARACTERS]!r} is not an amount")
    cents = unsigned_cents(match["number"], mark)
    return -cents if is_negative(match) else cents


def unsigned_cents(number: str, mark: DecimalMark) -> int:
    """Read digits with separators. Three digits behind the mark may be thousands, so they are refused, also zeros."""
    whole, _, decimals = GROUP_MARKS.sub("", number).partition(mark)
    if len(decimals) == 3:
        raise NotAnAmount(f"{number.strip()!r} may mean thousands or three decimals")
    decimals = decimals.rstrip("0").ljust(2, "0")
    if len(decimals) > 2 and decimals.isdigit():
        raise NotAnAmount(f"{number.strip()!r} has more than two decimals")
    if not decimals.isdigit() or (whole and not WHOLE.fullmatch(whole)):
        raise NotAnAmount(f"{number.strip()!r} is not an amount")
    return int(re.sub(r"[.,]", "", whole) or "0") * 100 + int(decimals)


def is_negative(match: re.Match[str]) -> bool:
    """Tell a debit by its sign, its brackets, or the letters behind it (DR, D, and S for Soll)."""
    sign = match["sign"] or match["late_sign"] or ""
    trail = (match["trail"] or "").upper()
    return bool(match["bracket"]) or sign in {"-", "−"} or trail in NEGATIVE_TRAILS


def decimal_mark(texts: Iterable[str], default: DecimalMark) -> DecimalMark:
    """Find the decimal mark that the amounts of a file prove by majority; `default` where they prove nothing."""
    votes = [mark for text in texts if (mark := proven_mark(text)) is not None]
    if votes.count(",") == votes.count("."):
        return default
    return "," if votes.count(",") > votes.count(".") else "."


def proven_mark(text: str) -> DecimalMark | None:
    """Say which mark is the decimal one in this amount, where the amount itself shows it."""
    digits = re.sub(r"[^\d.,]", "", text)
    comma, dot = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and dot >= 0:
        return "," if comma > dot else "."
    last = max(comma, dot)
    if last < 0:
        return None
    return proven_by_place(digits, last)


def proven_by_place(digits: str, last: int) -> DecimalMark | None:
    """Judge a number with one kind of separator: repeated it groups thousands, before three digits it may be either."""
    mark: DecimalMark = "," if digits[last] == "," else "."
    other: DecimalMark = "." if mark == "," else ","
    if digits.count(mark) > 1:
        return other
    return mark if len(digits) - last - 1 != 3 else None
