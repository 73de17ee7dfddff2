"""What the lines of an invoice can be refused for."""

from shared.errors import Invalid


class LineTooLarge(Invalid, code="line_amount_too_large"):
    """This line comes to {amount}; a line may come to at most 9999999999.99."""


class LineUnpriced(Invalid, code="line_item_unpriced"):
    """A line needs `unit_price` or `line_amount`, or a product that has a price."""
