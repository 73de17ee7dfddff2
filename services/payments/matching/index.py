"""The open invoices of one tenant, found by number, amount and customer in constant time."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import date
from uuid import UUID

import msgspec

from services.payments.matching import references
from services.payments.matching.model import OpenInvoice
from services.payments.matching.payers import Payers
from services.payments.matching.references import Form

MAX_OF_CUSTOMER = 200
MAX_SAME_AMOUNT = 50
Age = tuple[date, date, UUID]


class Postings:
    """Which invoices are filed under a key. Most keys have one, so a set is made for the second only."""

    def __init__(self) -> None:
        self._filed: dict[Hashable, UUID | set[UUID]] = {}

    def add(self, key: Hashable, invoice_id: UUID) -> None:
        found = self._filed.get(key)
        if found is None:
            self._filed[key] = invoice_id
        elif isinstance(found, set):
            found.add(invoice_id)
        else:
            self._filed[key] = {found, invoice_id}

    def remove(self, key: Hashable, invoice_id: UUID) -> None:
        found = self._filed[key]
        if isinstance(found, set):
            found.discard(invoice_id)
        if not isinstance(found, set) or not found:
            del self._filed[key]

    def get(self, key: Hashable) -> Iterable[UUID]:
        found = self._filed.get(key, ())
        return (found,) if isinstance(found, UUID) else found


class OpenInvoices:
    """An index in memory; whoever owns it keeps it in step with the table it was read from."""

    def __init__(self, invoices: Iterable[OpenInvoice] = ()) -> None:
        self.payers = Payers()
        self._invoices: dict[UUID, OpenInvoice] = {}
        self._keys = {form: Postings() for form in Form}
        self._amounts = Postings()
        self._customer_amounts = Postings()
        self._customers: dict[tuple[UUID, str], list[Age]] = {}
        self._labels: Counter[str] = Counter()
        self._unpaid: dict[UUID, OpenInvoice] = {}
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
        self._amounts.add((invoice.currency, invoice.due_cents), invoice.id)
        self._customer_amounts.add((invoice.customer_id, invoice.currency, invoice.due_cents), invoice.id)
        insort(self._customers.setdefault((invoice.customer_id, invoice.currency), []), _age(invoice))
        if invoice.number:
            self._put_number(invoice.id, references.number(invoice.number))

    def _put_number(self, invoice_id: UUID, number: references.Number) -> None:
        self._labels[number.label] += 1
        for key, form in number.keys.items():
            self._keys[form].add(key, invoice_id)

    def remove(self, invoice_id: UUID) -> None:
        """Forget an invoice; not knowing it is fine."""
        invoice = self._invoices.pop(invoice_id, None)
        if invoice is None:
            return
        self._amounts.remove((invoice.currency, invoice.due_cents), invoice_id)
        self._customer_amounts.remove((invoice.customer_id, invoice.currency, invoice.due_cents), invoice_id)
        self._remove_age(invoice)
        if invoice.number:
            self._remove_number(invoice_id, references.number(invoice.number))

    def _remove_age(self, invoice: OpenInvoice) -> None:
        ages = self._customers[invoice.customer_id, invoice.currency]
        del ages[bisect_left(ages, _age(invoice))]
        if not ages:
            del self._customers[invoice.customer_id, invoice.currency]

    def _remove_number(self, invoice_id: UUID, number: references.Number) -> None:
        self._labels[number.label] -= 1
        for key, form in number.keys.items():
            self._keys[form].remove(key, invoice_id)

    def pay(self, invoice_id: UUID, cents: int) -> None:
        """So much is spoken for, by a payment decided just before."""
        invoice = self._invoices[invoice_id]
        self._unpaid.setdefault(invoice_id, invoice)
        self.put(msgspec.structs.replace(invoice, due_cents=invoice.due_cents - cents))

    def forget_payments(self) -> None:
        """Undo every `pay`: what was decided counts once it is committed, and is put by whoever reads the table."""
        for invoice in self._unpaid.values():
            self.put(invoice)
        self._unpaid.clear()

    def get(self, invoice_id: UUID) -> OpenInvoice | None:
        return self._invoices.get(invoice_id)

    def by_key(self, key: str) -> dict[UUID, Form]:
        """The invoices whose number, or a part of it, is this; with the best that it can be of each."""
        return {invoice_id: form for form, filed in self._keys.items() for invoice_id in filed.get(key)}

    def by_amount(self, currency: str, cents: int) -> list[OpenInvoice]:
        """All with exactly this due; none where so many have it that it tells nothing."""
        found = list(self._amounts.get((currency, cents)))
        return self._all(found) if len(found) <= MAX_SAME_AMOUNT else []

    def by_customer(self, customer_id: UUID, currency: str) -> list[OpenInvoice]:
        """A customer's open invoices in a currency, the oldest first, at most MAX_OF_CUSTOMER."""
        ages = self._customers.get((customer_id, currency), [])
        return self._all(invoice_id for _, _, invoice_id in ages[:MAX_OF_CUSTOMER])

    def count_of_customer(self, customer_id: UUID, currency: str) -> int:
        return len(self._customers.get((customer_id, currency), ()))

    def by_customer_amount(self, customer_id: UUID, currency: str, cents: int) -> list[OpenInvoice]:
        """Those of a customer's invoices with exactly this due."""
        return self._all(self._customer_amounts.get((customer_id, currency, cents)))

    def is_own_label(self, label: str) -> bool:
        """Whether this tenant's numbers begin with this word."""
        return self._labels[label] > 0

    def _all(self, ids: Iterable[UUID]) -> list[OpenInvoice]:
        return [self._invoices[invoice_id] for invoice_id in ids]


def _age(invoice: OpenInvoice) -> Age:
    return invoice.due_date, invoice.issue_date, invoice.id
