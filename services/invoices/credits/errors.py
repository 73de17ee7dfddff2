"""What a credit note can be refused for."""

from shared.errors import Conflict, Invalid, NotFound


class CreditNoteUnknown(NotFound, code="credit_note_not_found"):
    """There is no credit note {credit_note_id}."""


class CreditExceedsInvoice(Invalid, code="credit_exceeds_invoice"):
    """This would credit {amount}, but only {left} of the invoice is not credited yet."""


class CreditNotPositive(Invalid, code="credit_not_positive"):
    """A credit note must be above zero; this one would come to {amount}."""


class CreditFullyUsed(Conflict, code="invoice_fully_credited"):
    """All of this invoice has been credited already."""


class AmountAndLines(Invalid, code="amount_and_line_items"):
    """Give `amount` or `line_items` or neither, not both."""


class LineUnknown(NotFound, code="credited_line_not_found"):
    """The invoice has no line item {line_item_id}."""


class LineTwice(Invalid, code="line_item_credited_twice"):
    """Line item {line_item_id} is named twice."""


class LineShareMissing(Invalid, code="line_share_missing"):
    """Give either `quantity` or `amount` of the line."""


class LineExceeded(Invalid, code="credit_exceeds_line"):
    """Only {left} of this line is not credited yet."""


class NotCreditable(Conflict, code="invoice_not_creditable"):
    """A {status} invoice cannot be credited."""


class CreditExceedsUnapplied(Invalid, code="credit_exceeds_unapplied"):
    """This would apply {amount}, but only {left} of the credit note is not applied yet."""


class AllocationExceedsDue(Invalid, code="credit_exceeds_due"):
    """Only {due} is due on invoice {invoice_id}."""


class AllocatedTwice(Invalid, code="invoice_allocated_twice"):
    """Invoice {invoice_id} is named twice."""


class OtherCustomer(Invalid, code="credit_of_other_customer"):
    """Invoice {invoice_id} belongs to another customer than the credit note."""


class CurrencyMismatch(Conflict, code="credit_currency_mismatch"):
    """Invoice {invoice_id} is in {currency}, the credit note is not."""


class InvoiceNotOpen(Conflict, code="credit_needs_open_invoice"):
    """Invoice {invoice_id} is {status}; a credit can only be applied to one that is open."""
