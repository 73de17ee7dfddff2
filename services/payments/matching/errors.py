"""What is refused about putting payments on invoices."""

from shared.errors import Conflict, Invalid, NotFound


class InvoiceUnknown(NotFound, code="invoice_not_found"):
    """There is no invoice {invoice_id}."""


class DepositAccountUnknown(NotFound, code="account_not_found"):
    """There is no account {account_id}."""


class InvoiceNotPayable(Conflict, code="invoice_not_payable"):
    """Invoice {invoice} is {status}; no payment can be put on it."""


class CurrencyDiffers(Conflict, code="currency_differs"):
    """The payment is in {payment_currency}, invoice {invoice} in {invoice_currency}."""


class NothingDue(Conflict, code="nothing_due"):
    """Nothing is due on invoice {invoice}."""


class NothingLeft(Conflict, code="payment_fully_applied"):
    """All of this payment is on invoices or paid back; take it off first."""


class AllocationsExceedPayment(Invalid, code="allocations_exceed_payment"):
    """The allocations come to {allocated}, more than the {available} of the payment."""


class AllocationExceedsDue(Invalid, code="allocation_exceeds_due"):
    """Only {due} is due on invoice {invoice}."""


class InvoiceNamedTwice(Invalid, code="invoice_named_twice"):
    """Each invoice may be named once."""


class MatchRefused(Conflict, code="match_refused"):
    """The invoice does not take the money: {reason}"""
