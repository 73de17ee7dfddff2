"""The open invoices of one tenant, found by number, amount and customer in constant time."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from services.payments.matching import references
from services.payments.matching.model import OpenInvoice, oldest_first
from services.payments.matching.payers import Payers
from services.payments.matching.references import Form

NOTHING: Mapping[UUID, Form] = {}


class OpenInvoices:
    """An index in memory; whoever owns it keeps it in step with the table it was read from."""

    def __init__(self, invoices: Iterable[OpenInvoice] = ()) -> None:
        self.payers = Payers()
        self._invoices: dict[UUID, OpenInvoice] = {}
        self._keys: dict[str, dict[UUID, Form]] = {}
        self._amounts: dict[tuple[str, int], set[UUID]] = {}
        self._customers: dict[UUID, set[UUID]] = {}
        self._labels: Counter[str] = Counter()
        for invoice in invoices:
            self.put(invoice)

    def __len__(self) -> int:
        return len(self._invoices)

    def put(self, invoice: OpenInvoice) -> None:
        """Add an invoice, or replace what was known of it; one with nothing due is removed."""
        self.remove(invoice.id)
        self.payers.put(invoice.customer_id, invoice.customer_name)
        if invoice.due_cents <= 0:
            return
        self._invoices[invoice.id] = invoice
        self._amounts.setdefault((invoice.currency, invoice.due_cents), set()).add(invoice.id)
        self._customers.setdefault(invoice.customer_id, set()).add(invoice.id)
        if invoice.number:
            self._put_number(invoice.id, references.number(invoice.number))

    def _put_number(self, invoice_id: UUID, number: references.Number) -> None:
        self._labels[number.label] += 1
        for key, form in number.keys.items():
            self._keys.setdefault(key, {})[invoice_id] = form

    def remove(self, invoice_id: UUID) -> None:
        """Forget an invoice; not knowing it is fine."""
        invoice = self._invoices.pop(invoice_id, None)
        if invoice is None:
            return
        _discard(self._amounts, (invoice.currency, invoice.due_cents), invoice_id)
        _discard(self._customers, invoice.customer_id, invoice_id)
        if invoice.number:
            self._remove_number(invoice_id, references.number(invoice.number))

    def _remove_number(self, invoice_id: UUID, number: references.Number) -> None:
        self._labels[number.label] -= 1
        for key in number.keys:
            found = self._keys[key]
            del found[invoice_id]
            if not found:
                del self._keys[key]

    def pay(self, invoice_id: UUID, cents: int) -> None:
        """So much is spoken for, by a payment decided just before."""
        invoice = self._invoices[invoice_id]
        self.put(msgspec.structs.replace(invoice, due_cents=invoice.due_cents - cents))

    def get(self, invoice_id: UUID) -> OpenInvoice | None:
        return self._invoices.get(invoice_id)

    def by_key(self, key: str) -> Mapping[UUID, Form]:
        return self._keys.get(key, NOTHING)

    def by_amount(self, currency: str, cents: int) -> list[OpenInvoice]:
        return self._all(self._amounts.get((currency, cents), ()))

    def by_customer(self, customer_id: UUID, currency: str) -> list[OpenInvoice]:
        """A customer's open invoices in a currency, oldest first."""
        found = self._all(self._customers.get(customer_id, ()))
        return oldest_first([invoice for invoice in found if invoice.currency == currency])

    def is_own_label(self, label: str) -> bool:
        """Whether this tenant's numbers begin with this word."""
        return self._labels[label] > 0

    def _all(self, ids: Iterable[UUID]) -> list[OpenInvoice]:
        return [self._invoices[invoice_id] for invoice_id in ids]


def _discard(index: dict[Any, set[UUID]], key: Hashable, invoice_id: UUID) -> None:
    found = index[key]
    found.discard(invoice_id)
    if not found:
        del index[key]
