"""The other side of a payment, where a bank writes it only inside the free text."""

import re

from services.payments.imports.formats.rows import clean

# ACH and wires of American banks: ORIG CO NAME:…, ORIG:…, B/O:…, BY ORDER OF:…
ORIGINATOR = re.compile(
    r"\b(?:ORIG(?:INATOR)?\s+CO(?:MPANY)?\s+NAME|ORIG(?:INATOR)?|ORG|B/O(?:\s+CUSTOMER)?|BY ORDER OF)\s*[:=]\s*"
    r"(?P<name>.+?)"
    r"(?=\s{2,}|[,;]|\s+(?:ORIG|DESC|CO ENTRY|ENTRY|SEC|TRACE|IND|REF|BNF|OBI|ID)\b|$)",
    re.IGNORECASE,
)


def originator(text: str) -> str:
    """Name who sent the money, or nothing."""
    match = ORIGINATOR.search(text)
    return clean(match["name"]) if match else ""
