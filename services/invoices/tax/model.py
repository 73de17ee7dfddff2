"""What tax comes to on net amounts (docs/accounting.md, rounding and totals)."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import msgspec

from shared.money import major, round_half_up


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate as it stood when an invoice was priced. `rate` is a fraction: 0.09975 is 9.975 %."""

    id: UUID
    name: str
    rate: Decimal


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """What one rate comes to on an invoice."""

    tax_rate_id: UUID
    name: str
    rate: Decimal
    taxable_cents: int
    tax_cents: int


class Taxed(msgspec.Struct, frozen=True, kw_only=True):
    """A net amount and the rates that it bears."""

    net_cents: int
    rates: tuple[TaxRate, ...]


def summary(amounts: Sequence[Taxed], rates: Sequence[TaxRate] = ()) -> tuple[Tax, ...]:
    """For each rate: the amounts that bear it are summed first and rounded once. `rates` are named in any case."""
    return tuple(_tax(rate, base, tax_on(base, rate.rate)) for rate, base in _bases(amounts, rates).items())


def inline(amounts: Sequence[Taxed], rates: Sequence[TaxRate] = ()) -> tuple[Tax, ...]:
    """For each rate: every amount is taxed and rounded by itself, then they are summed."""
    taxes = dict.fromkeys(rates, 0)
    for amount in amounts:
        for rate in amount.rates:
            taxes[rate] = taxes.get(rate, 0) + tax_on(amount.net_cents, rate.rate)
    return tuple(_tax(rate, base, taxes[rate]) for rate, base in _bases(amounts, rates).items())


def tax_on(net_cents: int, rate: Decimal) -> int:
    """Tax in cents on a net amount, half a cent rounded away from zero."""
    return round_half_up(major(net_cents) * rate)


def _bases(amounts: Sequence[Taxed], rates: Sequence[TaxRate]) -> dict[TaxRate, int]:
    bases = dict.fromkeys(rates, 0)
    for amount in amounts:
        for rate in amount.rates:
            bases[rate] = bases.get(rate, 0) + amount.net_cents
    return bases


def _tax(rate: TaxRate, taxable_cents: int, tax_cents: int) -> Tax:
    return Tax(tax_rate_id=rate.id, name=rate.name, rate=rate.rate, taxable_cents=taxable_cents, tax_cents=tax_cents)
