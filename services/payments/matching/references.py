"""Invoice numbers inside the text of a payment: what people write, read the way a bookkeeper would.

A text and an invoice number are both cut into *atoms* (runs of letters, runs of digits without their leading zeros), so
`INV-1` can never be found inside `INV-10`: `1` and `10` are different atoms. Atoms joined by `/` make the keys.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property, lru_cache

import msgspec
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

MAX_TEXT_CHARACTERS = 600
MAX_ATOMS = 80
MAX_WINDOW_ATOMS = 6
STRONG_DIGITS = 6  # a bare run of so many digits is hardly ever met by chance
FAIR_DIGITS = 4
MIN_NEAR_DIGITS = 4  # below that every number is one digit away from every other
SIMILAR_LABEL_PERCENT = 60

# Words that announce an invoice number, in the languages of our users; they say nothing about which invoice.
_INVOICE_WORDS = """
    INV INVS INVOICE INVOICES INVNO INVNR BILL BILLS RG RGNR RENR RECHNUNG RECHNUNGEN RECHNUNGSNR RECHNUNGSNUMMER
    RECH FACTURE FACTURES FACT FAC FACTURA FACTURAS FATTURA FATTURE FATT FT FAKTURA FAKTUR FV FACTUUR
"""
# Words that announce a number of any kind.
_NUMBER_WORDS = "IN NO NOS NR NUM NUMBER NUMBERS NUMMER N REF RE"
# Words that announce some other number: an order, a customer, a bank's own key.
_FOREIGN_WORDS = """
    PO POS ORDER ORD ORDERS AUFTRAG BESTELLUNG CN CREDIT CREDITNOTE QUOTE QT CUST CUSTOMER CUSTNO KD KDNR KUNDENNR
    ACCOUNT ACCT ACC A C IBAN BIC TEL FAX PHONE VAT UST CHECK CHK CHQ CHEQUE BATCH TXN TRN TXID TRACE MANDATE MREF
    KREF CRED DEBT AUTH CARD ID UTR SEQ PAGE WEEK WK KW DATE
"""
INVOICE_WORDS = frozenset(_INVOICE_WORDS.split())
NUMBER_WORDS = frozenset(_NUMBER_WORDS.split())
FOREIGN_WORDS = frozenset(_FOREIGN_WORDS.split())
_ATOM = re.compile(r"[A-Z]+|[0-9]+")
_DATE = re.compile(r"\b(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2})\b")
_MONEY = re.compile(r"(?:[$€£]|\b(?:USD|EUR|GBP|CHF|CAD)) ?\d[\d.,' ]*|\b\d{1,3}(?:[.,']\d{3})*[.,]\d{2}\b(?![./-]?\d)")
_TIGHT = frozenset(("", "-", ".", "_"))
_LISTING = re.compile(r"^[\s,;&+/]*+(?:AND|UND|ET|Y|E)?[\s,;&+/#-]*+$")


class Strength(IntEnum):
    """How surely a text names an invoice."""

    NEAR = 0  # one digit wrong or two swapped
    FAINT = 1  # a short or unlabelled number that happens to fit
    LIKELY = 2  # the end of the number, or its digits without any word before them
    EXACT = 3


class Form(IntEnum):
    """Which part of an invoice's number a key holds."""

    TAIL = 1
    BARE = 2
    FULL = 3


class Atom(msgspec.Struct, frozen=True):
    """A run of letters or of digits; its key is without leading zeros."""

    text: str
    key: str
    is_digits: bool
    start: int
    end: int
    noise: bool


class Number(msgspec.Struct, frozen=True):
    """An invoice number as the index knows it."""

    label: str
    head: str
    digits: str
    keys: dict[str, Form]


class Window(msgspec.Struct, frozen=True):
    """A few neighbouring atoms of a text that may be one invoice number."""

    first: int
    last: int
    keys: tuple[str, ...]


def fold(text: str) -> str:
    """Upper case without accents, full-width forms or control characters."""
    if text.isascii():
        return text.upper()
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).upper()


@lru_cache(maxsize=65536)
def number(invoice_number: str) -> Number:
    """All the ways in which one invoice number may be written, with what each of them is worth."""
    atoms = atoms_of(fold(invoice_number))
    label = atoms[0].text if atoms and not atoms[0].is_digits else ""
    body = atoms[1:] if label else atoms
    head = "/".join(atom.key for atom in atoms[:-1])
    digits = "".join(atom.text for atom in body if atom.is_digits)
    keys: dict[str, Form] = {}
    for key, form in _forms(label, body):
        keys[key] = max(form, keys.get(key, form))
    return Number(label, head, digits, keys)


def _forms(label: str, body: list[Atom]) -> Iterator[tuple[str, Form]]:
    if not body:
        return
    for key in _keys(body):
        yield key, Form.BARE
        if label:
            yield f"{label}/{key}", Form.FULL
    if len(body) > 1 and body[-1].is_digits:
        yield body[-1].key, Form.TAIL


def _keys(atoms: list[Atom]) -> tuple[str, ...]:
    """The atoms one by one, and with neighbouring digits run together (`2026-0012` is also written `20260012`)."""
    apart = "/".join(atom.key for atom in atoms)
    if sum(atom.is_digits for atom in atoms) < 2:
        return (apart,)
    parts: list[str] = []
    previous_digits = False
    for atom in atoms:
        if atom.is_digits and previous_digits:
            parts[-1] += atom.text
        else:
            parts.append(atom.text)
        previous_digits = atom.is_digits
    together = "/".join((part.lstrip("0") or "0") if part[0].isdigit() else part for part in parts)
    return (apart, together) if together != apart else (apart,)


def atoms_of(folded: str) -> list[Atom]:
    """Cut a folded text into runs of letters and of digits; those inside a date or an amount are noise."""
    text = folded[:MAX_TEXT_CHARACTERS]
    noisy = [match.span() for pattern in (_DATE, _MONEY) for match in pattern.finditer(text)]
    atoms = []
    for match in _ATOM.finditer(text):
        start, end = match.span()
        noise = any(left <= start and end <= right for left, right in noisy)
        written = match.group()
        is_digits = written[0].isdigit()
        key = (written.lstrip("0") or "0") if is_digits else written
        atoms.append(Atom(written, key, is_digits, start, end, noise))
        if len(atoms) == MAX_ATOMS:
            break
    return atoms


class Text:
    """The text of a payment, cut up once and asked many questions."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)[:MAX_TEXT_CHARACTERS]
        self.atoms = atoms_of(self.folded)

    @cached_property
    def windows(self) -> list[Window]:
        """Every run of atoms that may be an invoice number, longest first."""
        return list(self._windows())

    def _windows(self) -> Iterator[Window]:
        count = len(self.atoms)
        for size in range(min(MAX_WINDOW_ATOMS, count), 0, -1):
            for first in range(count - size + 1):
                atoms = self.atoms[first : first + size]
                if atoms[-1].is_digits or (size > 1 and any(atom.is_digits for atom in atoms)):
                    yield Window(first, first + size - 1, _keys_with_label(atoms))

    def keys(self) -> set[str]:
        """Every key under which an invoice that this text names could be filed."""
        return {key for window in self.windows for key in window.keys}

    def glue(self, left: int) -> str:
        """What stands between an atom and the next."""
        return self.folded[self.atoms[left].end : self.atoms[left + 1].start]

    def label_before(self, first: int) -> tuple[str, bool]:
        """The word just before an atom, and whether it clings to it (`PO-17`, `PO17`)."""
        if first == 0 or self.atoms[first - 1].is_digits:
            return "", False
        glue = self.glue(first - 1)
        if len(glue) > 3 or any(mark in glue for mark in ",;"):
            return "", False
        return self.atoms[first - 1].text, glue in _TIGHT or glue == "#"

    def inside(self, first: int, last: int, taken: set[int]) -> bool:
        """Whether the atoms are only a part of a longer number (`INV-1` of `INV-1-0`, of `INV-1A`)."""
        before = (
            first > 0 and first - 1 not in taken and self.atoms[first - 1].is_digits and self.glue(first - 1) in _TIGHT
        )
        if before and self.atoms[first].is_digits:
            return True
        if last + 1 >= len(self.atoms) or last + 1 in taken:
            return False
        after, glue = self.atoms[last + 1], self.glue(last)
        if after.is_digits:
            return glue in _TIGHT and self.atoms[last].is_digits
        return glue == "" or (glue == "-" and len(after.text) <= 2)

    def continues_a_list(self, first: int, taken: set[int]) -> bool:
        """Whether an atom carries on a list that began with a number already recognised (`INV-1001, 1002 and 1003`)."""
        earlier = [position for position in taken if position < first]
        if not earlier:
            return False
        return _LISTING.match(self.folded[self.atoms[max(earlier)].end : self.atoms[first].start]) is not None

    def digits(self, first: int, last: int) -> str:
        return "".join(atom.text for atom in self.atoms[first : last + 1] if atom.is_digits)

    def written(self, first: int, last: int) -> str:
        return self.folded[self.atoms[first].start : self.atoms[last].end]


def _keys_with_label(atoms: list[Atom]) -> tuple[str, ...]:
    if atoms[0].is_digits:
        return _keys(atoms)
    return tuple(f"{atoms[0].text}/{key}" for key in _keys(atoms[1:])) if len(atoms) > 1 else (atoms[0].text,)


def strength(text: Text, window: Window, form: Form, own_label: str, taken: set[int]) -> Strength | None:
    """What one find is worth, given the words around it; None when it is about something else."""
    if text.inside(window.first, window.last, taken):
        return Strength.FAINT
    if form is Form.FULL:
        return Strength.EXACT
    label, clings = text.label_before(window.first)
    noise = text.atoms[window.last].noise
    if label and is_own_label(label, own_label, clings=clings):
        return _labelled_strength(text, window, form, label, taken)
    if label in FOREIGN_WORDS or (label and clings):
        return None
    if form is Form.TAIL:
        return _tail_strength(text, window, taken, noise=noise)
    return Strength.FAINT if noise else _bare_strength(text, window, taken)


def _labelled_strength(text: Text, window: Window, form: Form, label: str, taken: set[int]) -> Strength:
    """After a word that announces it; `ref 8841` may be the end of our number or anything else."""
    if form is Form.BARE:
        return Strength.EXACT
    vague = label in NUMBER_WORDS and not text.continues_a_list(window.first, taken)
    return Strength.FAINT if vague else Strength.LIKELY


def _tail_strength(text: Text, window: Window, taken: set[int], *, noise: bool) -> Strength | None:
    if text.continues_a_list(window.first, taken):
        return Strength.LIKELY
    written = text.atoms[window.last].text
    return None if noise or len(written) < FAIR_DIGITS or is_year(written) else Strength.FAINT


def _bare_strength(text: Text, window: Window, taken: set[int]) -> Strength:
    written = text.digits(window.first, window.last)
    if is_year(written):
        return Strength.FAINT
    if len(written) >= STRONG_DIGITS:
        return Strength.EXACT
    if len(written) >= FAIR_DIGITS or text.continues_a_list(window.first, taken):
        return Strength.LIKELY
    return Strength.FAINT


def is_own_label(label: str, own_label: str, *, clings: bool) -> bool:
    """Whether a word announces one of our numbers: our own prefix, perhaps mistyped, or a word for invoice."""
    if label == own_label or label in INVOICE_WORDS or label in NUMBER_WORDS:
        return True
    if label in FOREIGN_WORDS or not own_label:
        return False
    return clings and len(label) >= 2 and fuzz.ratio(label, own_label) >= SIMILAR_LABEL_PERCENT


def is_year(written: str) -> bool:
    return len(written) == 4 and written[:2] in ("19", "20")


def is_near(digits: str, other: str) -> bool:
    """Whether two numbers differ by one wrong, missing, added or swapped digit."""
    return digits != other and OSA.distance(digits, other, score_cutoff=1) <= 1


def near_digits(digits: str) -> Iterator[str]:
    """Every run of digits that is one wrong, swapped, missing or added digit away."""
    for place, digit in enumerate(digits):
        for other in "0123456789":
            if other != digit:
                yield digits[:place] + other + digits[place + 1 :]
        yield digits[:place] + digits[place + 1 :]
    for place in range(len(digits) - 1):
        if digits[place] != digits[place + 1]:
            yield digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    for place in range(len(digits) + 1):
        for other in "0123456789":
            yield digits[:place] + other + digits[place:]
