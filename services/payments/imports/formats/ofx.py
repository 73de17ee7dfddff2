"""OFX 1 (SGML, end tags left out) and OFX 2 (XML), one transaction at a time.

ofxtools builds the tree of each transaction; it never resolves entities or reads a DTD, so neither can harm. It would
also take the whole file into memory and stop at the first wrong one, so the file is cut into transactions here.
"""

import html
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, TextIO
from xml.etree.ElementTree import Element

from services.payments.imports.formats import dates
from services.payments.imports.formats.identity import Identities
from services.payments.imports.formats.rows import Line, Rejected, Row, Unfit, Unreadable, clean, joined, refusal
from services.payments.imports.formats.text import decoded

CHUNK_CHARACTERS = 1 << 16
MAX_PIECE_CHARACTERS = 1 << 20
# A broken transaction ends where the next one or the list ends, so that it spoils no other.
TRANSACTION = re.compile(r"<STMTTRN>.*?(?:</STMTTRN>|(?=<STMTTRN>|</BANKTRANLIST>))", re.DOTALL)
CONTEXT = re.compile(r"<(CURDEF|ACCTID)>\s*([^<\s]+)")
END = "</OFX>"
DATE_CHARACTERS = 8


def rows(file: BinaryIO) -> Iterator[Row | Rejected]:
    """Yield what each transaction is. Their numbers count transactions, since OFX is often a single line."""
    identities = Identities("ofx")
    context: dict[str, str] = {}
    with decoded(file) as text:
        for number, (before, transaction) in enumerate(pieces(text), start=1):
            context.update(CONTEXT.findall(before))
            yield judged(number, transaction, context, identities)


def pieces(text: TextIO) -> Iterator[tuple[str, str]]:
    """Cut the file into transactions, each with the text between it and the one before."""
    rest = ""
    while chunk := text.read(CHUNK_CHARACTERS):
        rest += chunk
        read_until = 0
        for match in TRANSACTION.finditer(rest):
            yield rest[read_until : match.start()], match.group()
            read_until = match.end()
        rest = rest[read_until:]
        if len(rest) > MAX_PIECE_CHARACTERS:
            raise Unreadable(f"more than {MAX_PIECE_CHARACTERS:,} characters without the end of a transaction")
    if END not in rest:
        raise Unreadable("the file ends before its last tag </OFX>; it was cut off, or it is no OFX file")


def judged(number: int, transaction: str, context: dict[str, str], identities: Identities) -> Row | Rejected:
    """Read one transaction and decide."""
    try:
        fields = tree_of(transaction)
        line = line_of(number, fields, context.get("CURDEF"))
    except Unfit as reason:
        return Rejected(number, str(reason))
    reason_not = refusal(line)
    if reason_not:
        return Rejected(number, reason_not)
    return identities.row(line, own_id=said(fields, "FITID"), account=context.get("ACCTID", ""))


def tree_of(transaction: str) -> Element:
    """Build the tree of one transaction."""
    from ofxtools.Parser import TreeBuilder  # 9 MB of memory that only an OFX file needs

    builder = TreeBuilder()
    try:
        builder.feed(transaction)
        tree = builder.close()
    except (
        SyntaxError,
        AssertionError,
        IndexError,
    ) as error:  # both libraries derive their ParseError from SyntaxError
        raise Unfit("the transaction is broken: its tags do not fit together") from error
    assert isinstance(tree, Element), tree
    return tree


def line_of(number: int, fields: Element, currency: str | None) -> Line:
    """Read the fields of a transaction."""
    check, other = said(fields, "CHECKNUM"), said(fields, "REFNUM")
    return Line(
        number=number,
        signed_cents=signed_cents(said(fields, "TRNAMT")),
        date=dates.parsed(said(fields, "DTPOSTED")[:DATE_CHARACTERS], "%Y%m%d"),
        payer=said(fields, "NAME") or said(fields, "PAYEE/NAME") or said(fields, "EXTDNAME"),
        reference=joined(said(fields, "MEMO"), other, check and f"check {check}"),
        currency=(said(fields, "CURRENCY/CURSYM") or currency or "").upper() or None,
    )


def said(fields: Element, path: str) -> str:
    """Read a field, or an empty text."""
    return clean(html.unescape(fields.findtext(path) or ""))


def signed_cents(text: str) -> int:
    """Read TRNAMT, which may have a comma or a point (OFX 3.2.9.1) and no separators of thousands."""
    try:
        cents = Decimal(text.replace(",", ".")) * 100
    except InvalidOperation as error:
        raise Unfit(f"{text!r} is not an amount" if text else "the transaction has no amount") from error
    if not cents.is_finite() or cents != int(cents):
        raise Unfit(f"{text!r} has more than two decimals")
    return int(cents)
