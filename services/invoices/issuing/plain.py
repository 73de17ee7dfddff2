"""Values of requests as plain numbers: their own types only say how they are read."""

from decimal import Decimal
from typing import Any

import msgspec

from services.invoices import patching
from shared.money import Bounded, Money


def plain(value: Any) -> Any:
    """An amount as int cents, a decimal as Decimal; anything else as it is."""
    if isinstance(value, Money):
        return int(value)
    return Decimal(value) if isinstance(value, Bounded) else value


def given(body: msgspec.Struct) -> dict[str, Any]:
    """The fields of a body that were sent, by name, as plain values; a sent null is None."""
    return {name: plain(value) for name, value in patching.given(body).items()}
