"""What lines, discounts, tax and an adjustment add up to (docs/accounting.md, rounding and totals)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from services.invoices.lines.errors import LineTooLarge
from services.invoices.tax import model as tax
from services.invoices.tax.model import Tax, Taxed, TaxRate
from shared.money import MAX_CENTS, major, round_half_up, spread

TaxType = Literal["summary", "inline"]
DiscountType = Literal["none", "fixed", "percentage"]
PERCENT = Decimal(100)


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """A discount as it was agreed. `value` is in major units where fixed, in percent where a percentage."""

    type: DiscountType = "none"
    value: Decimal = Decimal(0)

    def on(self, base_cents: int) -> int:
        """Cents that it takes off an amount; a fixed one never more than there is."""
        if self.type == "percentage":
            return round_half_up(major(base_cents) * self.value / PERCENT)
        if self.type == "fixed":
            return min(round_half_up(self.value), max(base_cents, 0))
        return 0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it is stored. What the caller says comes first, what `price` works out of it last."""

    id: UUID
    position: int
    description: str
    long_description: str | None = None
    quantity: Decimal = Decimal(1)
    unit: str | None = None
    unit_price: Decimal | None = None
    given_amount_cents: int | None = None
    product_id: UUID | None = None
    account_id: UUID | None = None
    taxable: bool = True
    tax_rate_id: UUID | None = None
    tax_rate: Decimal | None = None
    tax_name: str | None = None
    discount_type: DiscountType = "none"
    discount_value: Decimal = Decimal(0)
    gross_cents: int = 0
    discount_cents: int = 0
    net_cents: int = 0
    shared_discount_cents: int = 0
    tax_cents: int = 0

    @property
    def taxed_cents(self) -> int:
        """What its tax is taken on: net of its own discount and of its share of the invoice's."""
        return self.net_cents - self.shared_discount_cents

    def rates(self, invoice_rates: tuple[TaxRate, ...]) -> tuple[TaxRate, ...]:
        """The rates that it bears: its own, or else the invoice's."""
        if not self.taxable:
            return ()
        if self.tax_rate_id is None:
            return invoice_rates
        assert self.tax_rate is not None
        return (TaxRate(id=self.tax_rate_id, name=self.tax_name or "", rate=self.tax_rate),)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an invoice's header says about its price."""

    tax_type: TaxType = "summary"
    rates: tuple[TaxRate, ...] = ()
    given_tax_cents: int | None = None
    discount: Discount = Discount()
    adjustment_cents: int = 0


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What it all comes to."""

    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    subtotal_cents: int
    discount_cents: int
    tax_cents: int
    adjustment_cents: int

    @property
    def total_cents(self) -> int:
        """total = subtotal − discount + tax + adjustment."""
        return self.subtotal_cents - self.discount_cents + self.tax_cents + self.adjustment_cents


def price(lines: Sequence[Line], terms: Terms) -> Price:
    """Work out lines, discount, tax and total of an invoice that is billed by lines."""
    own = [_priced(line) for line in lines]
    subtotal_cents = sum(line.net_cents for line in own)
    discount_cents = terms.discount.on(subtotal_cents)
    shared = _share(own, discount_cents)
    taxes = _taxes(shared, terms)
    return Price(
        lines=tuple(_taxed(line, terms) for line in shared),
        taxes=taxes,
        subtotal_cents=subtotal_cents,
        discount_cents=discount_cents,
        tax_cents=_tax_cents(taxes, terms),
        adjustment_cents=terms.adjustment_cents,
    )


def price_of_amount(total_cents: int, terms: Terms) -> Price:
    """The same for an invoice that is billed by its amount alone: the subtotal is what is left of it."""
    tax_cents = terms.given_tax_cents or 0
    net_cents = total_cents - tax_cents - terms.adjustment_cents
    discount_cents = _discount_within(net_cents, terms.discount)
    return Price(
        lines=(),
        taxes=(),
        subtotal_cents=net_cents + discount_cents,
        discount_cents=discount_cents,
        tax_cents=tax_cents,
        adjustment_cents=terms.adjustment_cents,
    )


def _discount_within(net_cents: int, discount: Discount) -> int:
    """The discount that has already been taken off a net amount."""
    if discount.type == "fixed":
        return round_half_up(discount.value)
    if discount.type == "percentage" and discount.value < PERCENT:
        gross = major(net_cents) * PERCENT / (PERCENT - discount.value)
        return round_half_up(gross) - net_cents
    return 0


def _priced(line: Line) -> Line:
    gross_cents = _gross(line)
    discount_cents = Discount(type=line.discount_type, value=line.discount_value).on(gross_cents)
    return msgspec.structs.replace(
        line,
        gross_cents=gross_cents,
        discount_cents=discount_cents,
        net_cents=gross_cents - discount_cents,
    )


def _gross(line: Line) -> int:
    if line.given_amount_cents is not None:
        return line.given_amount_cents
    amount = line.quantity * (line.unit_price or 0)
    if abs(amount) > major(MAX_CENTS):
        raise LineTooLarge(amount=f"{amount:.2f}", field=f"line_items[{line.position}]")
    return round_half_up(amount)


def _share(lines: Sequence[Line], discount_cents: int) -> list[Line]:
    """Spread the invoice's discount over its lines; a line below zero bears none of it."""
    if not lines:
        return []
    shares = spread(discount_cents, [max(line.net_cents, 0) for line in lines])
    return [
        msgspec.structs.replace(line, shared_discount_cents=share) for line, share in zip(lines, shares, strict=True)
    ]


def _taxes(lines: Sequence[Line], terms: Terms) -> tuple[Tax, ...]:
    amounts = [Taxed(net_cents=line.taxed_cents, rates=line.rates(terms.rates)) for line in lines]
    taxes = tax.inline if terms.tax_type == "inline" else tax.summary
    return taxes(amounts, terms.rates)


def _taxed(line: Line, terms: Terms) -> Line:
    if terms.tax_type == "summary":
        return line
    cents = sum(tax.tax_on(line.taxed_cents, rate.rate) for rate in line.rates(terms.rates))
    return msgspec.structs.replace(line, tax_cents=cents)


def _tax_cents(taxes: Sequence[Tax], terms: Terms) -> int:
    """The rates' tax; without any rate the given one is taken as it is."""
    return sum(one.tax_cents for one in taxes) if taxes else terms.given_tax_cents or 0
