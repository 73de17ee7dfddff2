"""Which format a bank file has, by what stands at its start; and how to read it."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal, get_args

from services.payments.imports.formats import bai2, camt053, csv, mt940, ofx
from services.payments.imports.formats.rows import Rejected, Row, Unreadable

Format = Literal["csv", "ofx", "camt053", "mt940", "bai2"]
FORMATS: tuple[Format, ...] = get_args(Format)
SPELLINGS: Mapping[str, Format] = {
    "camt.053": "camt053",
    "camt": "camt053",
    "qfx": "ofx",
    "qbo": "ofx",
    "sta": "mt940",
    "bai": "bai2",
}

HEAD_BYTES = 8192
NOT_BANK_FILES = (
    (b"PK\x03\x04", "this is a zip archive or an Excel workbook; unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "this is an Excel workbook; export it as CSV"),
    (b"%PDF", "this is a PDF; ask the bank for CSV, OFX, camt.053, MT940 or BAI2"),
    (b"\x1f\x8b", "this is a gzip archive; unpack it first"),
    (b"{\\rtf", "this is a text document; ask the bank for CSV, OFX, camt.053, MT940 or BAI2"),
)
OFX_HEAD = re.compile(r"\s*(?:OFXHEADER\s*:|(?:<\?xml[^>]*>\s*)?(?:<\?OFX\b|<OFX>))", re.IGNORECASE)
XML_HEAD = re.compile(r"\s*<(?:\?xml|!|[A-Za-z])")
MT940_FIELD = re.compile(r"^:(?:20|25|28C?|60[FM]|61):", re.MULTILINE)
BAI2_HEAD = re.compile(r"\s*01,[^,\n]*,[^,\n]*,\d{6,8},")


def rows(file: BinaryIO, form: Format, mapping: Mapping[str, str | int] | None = None) -> Iterator[Row | Rejected]:
    """Read a file in the given format. The file must be able to seek; nothing but one row is kept in memory."""
    if form == "csv":
        return csv.rows(file, mapping)
    return {"ofx": ofx.rows, "camt053": camt053.rows, "mt940": mt940.rows, "bai2": bai2.rows}[form](file)


def detected(file: BinaryIO) -> Format:
    """Name the format of a file, or say what it is instead."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    for magic, reason in NOT_BANK_FILES:
        if head.startswith(magic):
            raise Unreadable(reason)
    return by_text(readable(head))


def readable(head: bytes) -> str:
    """Decode the start of a file well enough to look at it."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    if b"\x00" in head:
        raise Unreadable("this is not a text file; ask the bank for CSV, OFX, camt.053, MT940 or BAI2")
    return head.decode("utf-8-sig", "replace")


def by_text(head: str) -> Format:
    """Name the format by its first fields; what is nothing else is CSV, and an empty file is nothing."""
    if not head.strip():
        raise Unreadable("the file is empty")
    if OFX_HEAD.match(head):
        return "ofx"
    if XML_HEAD.match(head):
        return "camt053"
    if len(MT940_FIELD.findall(head)) >= 2:
        return "mt940"
    return "bai2" if BAI2_HEAD.match(head) else "csv"


def named(word: str) -> Format | None:
    """Take the name of a format as people write it."""
    plain = word.strip().lower()
    return next((form for form in FORMATS if form == plain), SPELLINGS.get(plain))
