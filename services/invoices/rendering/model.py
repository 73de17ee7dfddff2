"""What a document says: pure input structs, built from an invoice, a credit note or a statement."""

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """How a tenant's documents look, from its invoicing settings."""

    company_name: str
    address: str = ""
    tax_id: str = ""
    logo: bytes | None = None
    color: str = "#1f4e79"
    footer: str = ""
    bank_details: str = ""


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a document is for."""

    name: str
    address: str = ""
    email: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a bill; the amount is net of the line's own discount."""

    description: str
    amount_cents: int
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    unit: str = ""
    long_description: str = ""
    discount_cents: int = 0
    tax_rate: Decimal | None = None


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """The tax at one rate; `rate` is a fraction, None where only the amount was given."""

    name: str
    tax_cents: int
    base_cents: int | None = None
    rate: Decimal | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A payment, credit or write-off that lowered what is due."""

    date: date | None
    text: str
    amount_cents: int


class Instalment(msgspec.Struct, frozen=True, kw_only=True):
    """One instalment of a payment plan."""

    due_date: date
    amount_cents: int


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or a credit note, whole."""

    kind: Literal["invoice", "credit_note"] = "invoice"
    number: str | None
    issue_date: date
    due_date: date | None = None
    currency: str
    status: str = "pending"
    brand: Brand
    customer: Party
    lines: tuple[Line, ...]
    subtotal_cents: int
    discount_cents: int = 0
    discount_text: str = "Discount"
    taxes: tuple[Tax, ...] = ()
    adjustment_cents: int = 0
    adjustment_text: str = "Adjustment"
    total_cents: int
    due_cents: int
    settled: tuple[Settled, ...] = ()
    instalments: tuple[Instalment, ...] = ()
    project: str = ""
    memo: str = ""
    note: str = ""
    terms: str = ""
    reason: str = ""
    corrects: str = ""
    pay_url: str | None = None

    @property
    def tax_cents(self) -> int:
        """All tax of the bill."""
        return sum(tax.tax_cents for tax in self.taxes)


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a statement: a charge (positive) or a payment or credit (negative)."""

    date: date
    text: str
    amount_cents: int
    balance_cents: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's account over a period."""

    brand: Brand
    customer: Party
    currency: str
    start: date
    end: date
    opening_cents: int
    closing_cents: int
    movements: tuple[Movement, ...] = ()
    aging: tuple[tuple[str, int], ...] = ()
