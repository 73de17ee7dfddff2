"""ISO 20022 camt.053, versions 001.02 to 001.13, read as a stream: one entry is in memory at a time.

defusedxml refuses document types, entities and outside references. Namespaces are dropped, since the versions differ in
little else that matters here: a status became `Sts/Cd`, and a party's name `Pty/Nm`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from services.payments.imports.formats import dates
from services.payments.imports.formats.identity import Identities
from services.payments.imports.formats.rows import (
    NOTHING_SAID,
    Line,
    Rejected,
    Row,
    Unfit,
    Unreadable,
    clean,
    joined,
    refusal,
)

STATEMENT = "Stmt"
MESSAGE = "BkToCstmrStmt"
OTHER_MESSAGES = {
    "BkToCstmrAcctRpt": "this is a camt.052 report of the running day; import the statement (camt.053)",
    "BkToCstmrDbtCdtNtfctn": "this is a camt.054 notification; import the statement (camt.053)",
}
MAX_DEPTH = 64
DATE_CHARACTERS = 10
DATE_PATHS = ("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm")
PAYER_PATHS = ("RltdPties/Dbtr/Pty/Nm", "RltdPties/Dbtr/Nm", "RltdPties/UltmtDbtr/Pty/Nm", "RltdPties/UltmtDbtr/Nm")
REFERENCE_PATHS = (
    "RmtInf/Ustrd",
    "RmtInf/Strd/CdtrRefInf/Ref",
    "RmtInf/Strd/RfrdDocInf/Nb",
    "RmtInf/Strd/AddtlRmtInf",
    "Refs/EndToEndId",
    "AddtlTxInf",
)
ID_PATHS = ("Refs/AcctSvcrRef", "Refs/UETR", "Refs/TxId")
WHITE = re.compile(r"\s+")


def rows(file: BinaryIO) -> Iterator[Row | Rejected]:
    """Yield what each entry is. Their numbers count entries, since such files are often a single line."""
    identities = Identities("camt")
    file.seek(0)
    try:
        yield from rows_of_statements(file, identities)
    except ParseError as error:
        line, column = error.position
        raise Unreadable(f"the XML is broken at line {line}, column {column + 1}") from error
    except DefusedXmlException as error:
        raise Unreadable("the XML declares a document type or entities, which no bank statement needs") from error
    except (LookupError, UnicodeError, ValueError) as error:
        raise Unreadable("the XML names an encoding that nobody knows, or does not keep to it") from error


def rows_of_statements(file: BinaryIO, identities: Identities) -> Iterator[Row | Rejected]:
    """Walk through the statements of the file, entry by entry."""
    number, account = 0, ""
    for parent, element in parts_of_statements(file):
        if element.tag == "Acct":
            account = first(element, "Id/IBAN", "Id/Othr/Id")
        elif element.tag == "Ntry":
            number += 1
            yield from rows_of_entry(number, element, account, identities)
        parent.remove(element)


def parts_of_statements(file: BinaryIO) -> Iterator[tuple[Element, Element]]:
    """Yield the direct parts of each statement as they are complete, each with its parent."""
    open_elements: list[Element] = []
    is_statement = False
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            element.tag = element.tag.rpartition("}")[2]
            is_statement = checked(element.tag, len(open_elements)) or is_statement
            open_elements.append(element)
            continue
        open_elements.pop()
        if open_elements and open_elements[-1].tag == STATEMENT:
            yield open_elements[-1], element
    if not is_statement:
        raise Unreadable("the XML holds no bank statement (camt.053)")


def checked(tag: str, depth: int) -> bool:
    """Refuse other messages of the family and absurd nesting; tell whether this opens a statement message."""
    if tag in OTHER_MESSAGES:
        raise Unreadable(OTHER_MESSAGES[tag])
    if depth > MAX_DEPTH:
        raise Unreadable(f"the XML is nested deeper than {MAX_DEPTH} levels")
    return tag == MESSAGE


def rows_of_entry(number: int, entry: Element, account: str, identities: Identities) -> Iterator[Row | Rejected]:
    """Yield the payments of one entry: several where the bank booked a collection and says what is in it."""
    try:
        details = parts_of(number, entry)
    except Unfit as reason:
        yield Rejected(number, str(reason))
        return
    for line, own_id in details:
        reason_not = refusal_of(entry) or refusal(line)
        if reason_not:
            yield Rejected(number, reason_not)
        else:
            yield identities.row(line, own_id=own_id, account=account)


def refusal_of(entry: Element) -> str | None:
    """Say why no part of an entry counts: it is not booked yet, or it takes something back."""
    status = first(entry, "Sts/Cd", "Sts/Prtry", "Sts")
    if status and status != "BOOK":
        return f"the entry is not booked yet (status {status})"
    if first(entry, "RvslInd").lower() in {"true", "1"}:
        return "a reversal of an earlier booking, not a payment"
    return None


def parts_of(number: int, entry: Element) -> list[tuple[Line, str]]:
    """Split an entry into the transactions in it, if they add up to it; else take it as one. Each has its bank id."""
    total, currency = signed_cents(entry), currency_of(entry)
    details = entry.findall("NtryDtls/TxDtls")
    amounts = [amount_of_part(entry, part, currency) for part in details]
    if len(details) > 1 and None not in amounts and sum(filter(None, amounts)) == total:
        lines = [line_of(number, entry, [part], cents or 0) for part, cents in zip(details, amounts, strict=True)]
        return list(zip(lines, own_ids(details), strict=True))
    whole_id = first_said(entry, "AcctSvcrRef") or (own_id(details[0]) if len(details) == 1 else "")
    return [(line_of(number, entry, details, total), whole_id)]


def line_of(number: int, entry: Element, details: list[Element], cents: int) -> Line:
    """Read the fields of an entry, or of one part of it."""
    payers = [payer for part in details if (payer := first(part, *PAYER_PATHS))]
    references = [text for part in details for path in REFERENCE_PATHS for text in texts(part, path)]
    return Line(
        number=number,
        signed_cents=cents,
        date=dates.parsed(first(entry, *DATE_PATHS)[:DATE_CHARACTERS], "%Y-%m-%d"),
        payer=joined(*payers[:1]),
        reference=joined(*references) or joined(first(entry, "AddtlNtryInf"), first(entry, "NtryRef")),
        currency=currency_of(entry),
    )


def amount_of_part(entry: Element, part: Element, currency: str | None) -> int | None:
    """Read the signed cents of a part in the currency of the account, or None where the bank does not give them."""
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        amount = part.find(path)
        if amount is not None and amount.get("Ccy", currency) == currency:
            return cents_of(amount.text) * sign_of(part if part.find("CdtDbtInd") is not None else entry)
    return None


def signed_cents(entry: Element) -> int:
    """Read the amount of an entry."""
    return cents_of(entry.findtext("Amt")) * sign_of(entry)


def sign_of(element: Element) -> int:
    """Read whether money came or went."""
    indicator = first(element, "CdtDbtInd")
    if indicator not in {"CRDT", "DBIT"}:
        raise Unfit(f"{indicator!r} is neither CRDT nor DBIT")
    return 1 if indicator == "CRDT" else -1


def cents_of(text: str | None) -> int:
    """Read an amount of ISO 20022: a point, up to five decimals, no sign."""
    try:
        cents = Decimal((text or "").strip()) * 100
    except InvalidOperation as error:
        raise Unfit(f"{text!r} is not an amount" if text else "the entry has no amount") from error
    if not cents.is_finite() or cents < 0:
        raise Unfit(f"{text!r} is not an amount")
    if cents != int(cents):
        raise Unfit(f"{text!r} has more than two decimals")
    return int(cents)


def currency_of(entry: Element) -> str | None:
    """Read the currency of an entry."""
    amount = entry.find("Amt")
    return amount.get("Ccy") if amount is not None else None


def own_ids(parts: list[Element]) -> list[str]:
    """Read the bank's ids of the transactions of one entry; an id that is there twice tells nothing apart."""
    ids = [own_id(part) for part in parts]
    return ids if len(set(ids)) == len(ids) else [""] * len(ids)


def own_id(part: Element) -> str:
    """Read the bank's id of one transaction."""
    return first_said(part, *ID_PATHS)


def first_said(element: Element, *paths: str) -> str:
    """Read the first id that is one, not a word for nothing."""
    for path in paths:
        text = first(element, path)
        if text and text.upper() not in NOTHING_SAID and text.strip("0"):
            return text
    return ""


def first(element: Element, *paths: str) -> str:
    """Read the first of the given fields that is there."""
    return next((text for path in paths for text in texts(element, path)), "")


def texts(element: Element, path: str) -> list[str]:
    """Read every text under a path."""
    return [text for found in element.findall(path) if (text := clean(found.text))]
