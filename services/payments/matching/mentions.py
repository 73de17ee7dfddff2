"""Which of the open invoices a text names, which closed ones, and which numbers it has that we do not know."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from services.payments.matching import references
from services.payments.matching.index import OpenInvoices
from services.payments.matching.references import Form, Strength, Text, Window

MAX_CANDIDATES = 12
MAX_NEAR = 200  # where numbers run on without gaps, nearly every neighbour exists


class Mention(msgspec.Struct, frozen=True):
    """One number in the text and the open invoices that it may mean."""

    written: str
    digits: str
    strength: Strength
    invoice_ids: tuple[UUID, ...]


class Unknown(msgspec.Struct, frozen=True):
    """A number written like ours that no open invoice has: paid already, mistyped, or somebody else's."""

    written: str
    digits: str
    closed: bool
    closed_customer_id: UUID | None
    near: tuple[UUID, ...]


class Mentions(msgspec.Struct, frozen=True):
    named: tuple[Mention, ...]
    unknown: tuple[Unknown, ...]


def read(text: Text, index: OpenInvoices, closed: Mapping[str, UUID]) -> Mentions:
    """Read a text once: the longest numbers first, each atom used for one number only."""
    reader = _Reader(text, index, closed)
    return Mentions(tuple(reader.named()), tuple(reader.unknown()))


class _Reader:
    def __init__(self, text: Text, index: OpenInvoices, closed: Mapping[str, UUID]) -> None:
        self.text, self.index, self.closed = text, index, closed
        self.taken: set[int] = set()
        self.heads: set[str] = set()

    def named(self) -> list[Mention]:
        found = [mention for window in self.text.windows if (mention := self._mention(window))]
        return sorted(found, key=lambda mention: -mention.strength)

    def _mention(self, window: Window) -> Mention | None:
        places = set(range(window.first, window.last + 1))
        if places & self.taken:
            return None
        hits = self._hits(window)
        if not hits:
            return None
        best = max(hits.values())
        ids = self._same_head([invoice_id for invoice_id, strength in hits.items() if strength == best])
        if best >= Strength.LIKELY:
            self.taken |= places
            self.heads |= {_head(self.index, invoice_id) for invoice_id in ids}
        written = self.text.written(window.first, window.last)
        return Mention(written, self.text.digits(window.first, window.last), best, tuple(sorted(ids)[:MAX_CANDIDATES]))

    def _hits(self, window: Window) -> dict[UUID, Strength]:
        hits: dict[UUID, Strength] = {}
        for key in window.keys:
            for invoice_id, form in self.index.by_key(key).items():
                strength = references.strength(self.text, window, form, _label(self.index, invoice_id), self.taken)
                if strength is not None:
                    hits[invoice_id] = max(strength, hits.get(invoice_id, Strength.NEAR))
        return hits

    def _same_head(self, ids: list[UUID]) -> list[UUID]:
        """`INV-2026-0012, 13` means number 13 of 2026, not of 2025."""
        same = [invoice_id for invoice_id in ids if _head(self.index, invoice_id) in self.heads]
        return same or ids

    def unknown(self) -> list[Unknown]:
        """Numbers after our own prefix, or written out in full, that are not those of open invoices."""
        found = []
        for window in self.text.windows:
            places = set(range(window.first, window.last + 1))
            if places & self.taken or not self._is_like_ours(window):
                continue
            unknown = self._unknown(window)
            if unknown.closed or unknown.near or self._is_labelled(window):
                self.taken |= places
                found.append(unknown)
        return found

    def _unknown(self, window: Window) -> Unknown:
        closed = [key for key in window.keys if key in self.closed]
        digits = self.text.digits(window.first, window.last)
        return Unknown(
            self.text.written(window.first, window.last),
            digits,
            bool(closed),
            self.closed[closed[0]] if closed else None,
            () if closed else self._near(digits),
        )

    def _is_like_ours(self, window: Window) -> bool:
        """Whole numbers only: never a part of a longer run of digits, never an order number, a date or an amount."""
        first, last = self.text.atoms[window.first], self.text.atoms[window.last]
        if last.noise or not self._is_one_number(window) or self.text.inside(window.first, window.last, set()):
            return False
        if not first.is_digits:
            return self._announces(first.text)
        label, clings = self.text.label_before(window.first)
        return not (label in references.FOREIGN_WORDS or (clings and not self._announces(label)))

    def _is_one_number(self, window: Window) -> bool:
        """Digits that hang together; only a year may stand a space apart from the rest."""
        atoms = self.text.atoms[window.first : window.last + 1]
        if not all(atom.is_digits for atom in atoms[1:]) or not atoms[-1].is_digits:
            return False
        pairs = [place for place in range(window.first, window.last) if self.text.atoms[place].is_digits]
        return all(
            not self.text.glue(place).isspace() or references.is_year(self.text.atoms[place].text) for place in pairs
        )

    def _is_labelled(self, window: Window) -> bool:
        first = self.text.atoms[window.first].text
        return self.index.is_own_label(first) or first in references.INVOICE_WORDS

    def _announces(self, label: str) -> bool:
        return self.index.is_own_label(label) or label in references.INVOICE_WORDS or label in references.NUMBER_WORDS

    def _near(self, digits: str) -> tuple[UUID, ...]:
        """Open invoices whose number is one wrong or swapped digit away."""
        if len(digits) < references.MIN_NEAR_DIGITS:
            return ()
        found: dict[UUID, None] = {}
        for near in references.near_digits(digits):
            for invoice_id, form in self.index.by_key(near.lstrip("0") or "0").items():
                if form is not Form.TAIL:
                    found[invoice_id] = None
        return tuple(found)[:MAX_NEAR]


def _label(index: OpenInvoices, invoice_id: UUID) -> str:
    invoice = index.get(invoice_id)
    return references.number(invoice.number).label if invoice and invoice.number else ""


def _head(index: OpenInvoices, invoice_id: UUID) -> str:
    invoice = index.get(invoice_id)
    return references.number(invoice.number).head if invoice and invoice.number else ""
