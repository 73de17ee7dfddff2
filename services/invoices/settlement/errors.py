"""What a balance can be refused for."""

from shared.errors import Conflict, Invalid, NotFound


class InvoiceUnknown(NotFound, code="invoice_not_found"):
    """There is no invoice {invoice_id}."""


class TotalNotPositive(Invalid, code="total_not_positive"):
    """An invoice must come to more than zero; this one comes to {total}."""


class TotalTooLarge(Invalid, code="total_too_large"):
    """An invoice may come to at most 9999999999.99; this one comes to {total}."""


class MoneyApplied(Conflict, code="money_already_applied"):
    """{settled} has already been paid, credited or written off on this invoice; that cannot be edited away."""
