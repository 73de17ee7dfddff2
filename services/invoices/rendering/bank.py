"""A tenant's bank details are free text; what machines need is found in it: IBAN (ISO 13616) and BIC (ISO 9362)."""

import re
import string

IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{2,4}){3,8}\b")
BIC = re.compile(r"\b(?:BIC|SWIFT)\b\W*(?:code\W*)?([A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b", re.IGNORECASE)
_VALUES = {character: str(value) for value, character in enumerate(string.digits + string.ascii_uppercase)}


def find_iban(text: str) -> str | None:
    """The first valid IBAN in a text, without spaces."""
    for line in text.upper().splitlines():
        for match in IBAN.finditer(line):
            if iban := _longest_valid(match[0].replace(" ", "")):
                return iban
    return None


def _longest_valid(candidate: str) -> str | None:
    """An IBAN may be followed by other words on its line, so the longest valid beginning counts."""
    return next((candidate[:end] for end in range(min(len(candidate), 34), 14, -1) if _is_iban(candidate[:end])), None)


def _is_iban(text: str) -> bool:
    digits = "".join(_VALUES[character] for character in text[4:] + text[:4])
    return int(digits) % 97 == 1


def find_bic(text: str) -> str | None:
    """The BIC that a text names as such."""
    match = BIC.search(text)
    return match[1].upper() if match else None
