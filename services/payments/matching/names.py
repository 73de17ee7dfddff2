"""Names of payers and customers, compared as people do: legal forms, case, accents and word order do not matter."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz

TRUNCATED_CHARACTERS = 12  # banks cut names; so much of the beginning must be there to recognise one
CUT_NAME = 0.97
WORDS_OF_THE_NAME = 0.93
OTHER_NUMBER = 0.5

_LEGAL_FORMS = """
    llc llp lp inc incorporated corp corporation co company ltd limited plc pty pte gmbh mbh ag kg kgaa ohg gbr ug
    ek ev eg se sarl sas sasu eurl sa snc spa srl srls sl slu bv nv cv vof ab as asa aps oy oyj kft zrt bt doo sro
    spzoo zoo lda ltda sp z o the and und et
"""
# What banks put around a name.
_BANK_WORDS = """
    ach credit payment payments transfer from sepa wire online deposit incoming pmt pymt trf zahlung uberweisung
    gutschrift
"""
LEGAL_FORMS = frozenset(_LEGAL_FORMS.split())
BANK_WORDS = frozenset(_BANK_WORDS.split())
_WORD = re.compile(r"[a-z0-9]+")
_ALSO_KNOWN = re.compile(r"\b(?:d/?b/?a|c/o|t/a|aka|f/?k/?a|doing business as|trading as)\b", re.IGNORECASE)
_DOTTED = re.compile(r"\b(?:[A-Za-z]\.){2,}")
_UMLAUT = re.compile(r"(?<=[aou])e")


@lru_cache(maxsize=65536)
def words(name: str) -> tuple[str, ...]:
    """The words that tell one firm from another, in their order; all of them where only legal forms are left."""
    undotted = _DOTTED.sub(lambda match: match.group().replace(".", ""), name.replace("'", "").replace("’", ""))
    plain = unicodedata.normalize("NFKD", undotted.casefold())
    found = [_UMLAUT.sub("", word) for word in _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))]
    telling = tuple(word for word in found if word not in LEGAL_FORMS and word not in BANK_WORDS)
    return telling or tuple(found)


def key(name: str) -> str:
    """The same for all spellings of one name that differ in nothing that matters; what aliases are filed under."""
    return " ".join(sorted(words(name)))


def parts(payer: str) -> list[str]:
    """A payer's names: `Foo LLC d/b/a Bar` has two."""
    return [part.strip() for part in _ALSO_KNOWN.split(payer) if part.strip()] or [payer]


def similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """How alike two names are, from 0 to 1. Both are given as `words`."""
    if not one or not other:
        return 0.0
    one_sorted, other_sorted = " ".join(sorted(one)), " ".join(sorted(other))
    if one_sorted == other_sorted:
        return 1.0
    if _numbers(one) != _numbers(other):
        return min(OTHER_NUMBER, fuzz.ratio(one_sorted, other_sorted) / 100)
    return max(fuzz.ratio(one_sorted, other_sorted) / 100, _cut(" ".join(one), " ".join(other)), _contained(one, other))


def _numbers(name: Sequence[str]) -> list[str]:
    """`Store 12` and `Store 13` are two firms, however alike their names are."""
    return sorted(word for word in name if word.isdigit())


def _cut(one: str, other: str) -> float:
    short, long = sorted((one, other), key=len)
    return CUT_NAME if len(short) >= TRUNCATED_CHARACTERS and long.startswith(short) else 0.0


def _contained(one: Sequence[str], other: Sequence[str]) -> float:
    few, many = sorted((set(one), set(other)), key=len)
    return WORDS_OF_THE_NAME if len(few) >= 2 and few <= many else 0.0
