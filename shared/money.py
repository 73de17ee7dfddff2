"""Exact money: integer cents inside, JSON numbers in major units outside.

The request types here are decoded by `shared.http.bodies` from the text of the JSON number, never through a float.
"""

import functools
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar, Self

CENT = Decimal("0.01")
MAX_CENTS = 999_999_999_999
"""9,999,999,999.99 in major units, the largest amount that the API takes."""


@functools.lru_cache(maxsize=4096)  # most amounts are 0, or stand in an answer several times
def major(cents: int) -> Decimal:
    """Major units of an amount in cents, with exactly two decimals; encodes as a JSON number."""
    return Decimal(cents).scaleb(-2)


def round_half_up(amount: Decimal) -> int:
    """Cents of an amount in major units, half a cent rounded away from zero (docs/accounting.md, rounding)."""
    return int(amount.quantize(CENT, rounding=ROUND_HALF_UP).scaleb(2))


def spread(total_cents: int, weights: Sequence[int]) -> list[int]:
    """Split a total in proportion to non-negative weights by largest remainder; the shares sum exactly to the total.

    Ties go to the earlier share. With no weight at all everything goes to the first share.
    """
    assert weights, "nothing to spread over"
    assert all(weight >= 0 for weight in weights), weights
    if total_cents < 0:
        return [-share for share in spread(-total_cents, weights)]
    whole = sum(weights)
    if whole == 0:
        return [total_cents, *[0] * (len(weights) - 1)]
    shares = [total_cents * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total_cents * weights[i] % whole), i))
    for i in by_remainder[: total_cents - sum(shares)]:
        shares[i] += 1
    return shares


class Money(int):
    """A request's amount: a JSON number of major units, at least 0, at most two decimals. Its value is in cents."""

    MINIMUM: ClassVar[int] = 0
    MAXIMUM: ClassVar[int] = MAX_CENTS

    @classmethod
    def parse(cls, number: object) -> Self:
        """Cents of a decoded JSON number; ValueError says in words what is wrong with it."""
        amount = _decimal(number, places=2)
        cents = int(amount.scaleb(2))
        if cents < cls.MINIMUM:
            raise ValueError(f"must be at least {major(cls.MINIMUM)}")
        if cents > cls.MAXIMUM:
            raise ValueError(f"must be at most {major(cls.MAXIMUM)}")
        return cls(cents)


class PositiveMoney(Money):
    """An amount above zero."""

    MINIMUM = 1


class SignedMoney(Money):
    """An amount of either sign."""

    MINIMUM = -MAX_CENTS


class Bounded(Decimal):
    """A decimal of a request with at most six decimals, between two bounds."""

    MINIMUM: ClassVar[Decimal]
    MAXIMUM: ClassVar[Decimal]

    @classmethod
    def parse(cls, number: object) -> Self:
        """The exact decimal of a decoded JSON number; ValueError says in words what is wrong with it."""
        value = _decimal(number, places=6)
        if value < cls.MINIMUM:
            raise ValueError(f"must be at least {cls.MINIMUM}")
        if value > cls.MAXIMUM:
            raise ValueError(f"must be at most {cls.MAXIMUM}")
        return cls(value)


class Quantity(Bounded):
    """How many units a line bills; above zero."""

    MINIMUM = Decimal("0.000001")
    MAXIMUM = Decimal("9999999999.999999")


class UnitPrice(Bounded):
    """Price of one unit in major units, of either sign."""

    MINIMUM = Decimal("-9999999999.99")
    MAXIMUM = Decimal("9999999999.99")


class Rate(Bounded):
    """A tax rate as a fraction: 0.09975 is 9.975 %."""

    MINIMUM = Decimal(0)
    MAXIMUM = Decimal(1)


class Percent(Bounded):
    """A discount in percent: 10 is 10 %."""

    MINIMUM = Decimal(0)
    MAXIMUM = Decimal(100)


def _decimal(number: object, *, places: int) -> Decimal:
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise ValueError("must be a number")
    value = Decimal(number)
    if value and value.adjusted() > 15:  # before any arithmetic: 1e999999 is a short text and a long number
        raise ValueError("is too large")
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "JSON has no NaN and no infinity"
    if -exponent > places and value != value.quantize(Decimal(1).scaleb(-places)):
        raise ValueError(f"has more than {places} decimals")
    return value
