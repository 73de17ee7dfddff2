"""A line as the API shows it."""

from decimal import Decimal
from uuid import UUID

import msgspec

from services.invoices.lines.model import DiscountType, Line
from shared.money import major


class LineItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an invoice. Amounts in major units; `line_amount` is before the line's discount, `net_amount` after."""

    id: UUID
    position: int
    description: str
    long_description: str | None
    quantity: Decimal
    unit: str | None
    unit_price: Decimal | None
    line_amount: Decimal
    product_id: UUID | None
    account_id: UUID | None
    taxable: bool
    tax_rate_id: UUID | None
    discount_type: DiscountType
    discount_value: Decimal
    discount_amount: Decimal
    net_amount: Decimal
    tax_amount: Decimal


def line_item(line: Line) -> LineItem:
    """The public shape of a line."""
    return LineItem(
        id=line.id,
        position=line.position,
        description=line.description,
        long_description=line.long_description,
        quantity=line.quantity,
        unit=line.unit,
        unit_price=line.unit_price,
        line_amount=major(line.gross_cents),
        product_id=line.product_id,
        account_id=line.account_id,
        taxable=line.taxable,
        tax_rate_id=line.tax_rate_id,
        discount_type=line.discount_type,
        discount_value=line.discount_value,
        discount_amount=major(line.discount_cents),
        net_amount=major(line.net_cents),
        tax_amount=major(line.tax_cents),
    )
