"""What making or changing an invoice can be refused for."""

from shared.errors import BadRequest, Conflict, Invalid, NotFound


class CustomerUnknown(NotFound, code="customer_not_found"):
    """There is no customer {customer_id}."""


class TaxRateUnknown(NotFound, code="tax_rate_not_found"):
    """There is no tax rate {tax_rate_id} in use."""


class ProductUnknown(NotFound, code="product_not_found"):
    """There is no product {product_id}."""


class AccountUnknown(NotFound, code="account_not_found"):
    """There is no account {account_id}."""


class LineUnknown(NotFound, code="line_item_not_found"):
    """This invoice has no line item {line_item_id}."""


class AccountNotIncome(Invalid, code="account_not_income"):
    """A line is booked as revenue, so its account must be one of type income; {code} is of type {type}."""


class AmountOrLinesRequired(Invalid, code="amount_or_line_items_required"):
    """Give `amount` or at least one of `line_items`."""


class AmountMismatch(Invalid, code="amount_mismatch"):
    """The amount is {amount}, but lines, tax, discount and adjustment come to {total}."""


class AmountDueTooLarge(Invalid, code="amount_due_exceeds_amount"):
    """The amount due, {amount_due}, is more than the amount, {amount}."""


class AmountDueInconsistent(Invalid, code="amount_due_inconsistent"):
    """Amount due {amount_due} and external payments {external} do not fit together; give one of them."""


class ExternalTooLarge(Invalid, code="external_payment_exceeds_amount"):
    """External payments of {external} are more than the amount, {amount}."""


class TaxMismatch(Invalid, code="tax_amount_mismatch"):
    """The tax amount is {tax_amount}, but the tax rates come to {tax}."""


class DiscountMismatch(Invalid, code="discount_amount_mismatch"):
    """The discount amount is {discount_amount}, but the discount comes to {discount}."""


class DiscountInvalid(Invalid, code="discount_value_invalid"):
    """A percentage is at most 100, a fixed discount has at most two decimals."""


class PartsExceedAmount(Invalid, code="parts_exceed_amount"):
    """Tax and adjustment are more than the amount."""


class TaxRatesNeedLines(Invalid, code="tax_rates_need_line_items"):
    """Tax rates apply to line items; with `amount` alone give `tax_amount`."""


class CurrencyNotEnabled(Invalid, code="currency_not_enabled"):
    """Invoices are in {currency}; other currencies are not switched on."""


class CurrencyFixed(Conflict, code="currency_fixed"):
    """The currency of an issued invoice cannot change."""


class NumberTaken(Conflict, code="invoice_number_taken"):
    """An invoice numbered {number} exists already."""


class NumberFixed(Conflict, code="invoice_number_fixed"):
    """This invoice has its number already, and a number never goes missing."""


class AlreadyPublished(Conflict, code="invoice_already_published"):
    """This invoice has been published before; only a draft can be published."""


class InvoiceCancelled(Conflict, code="invoice_cancelled"):
    """This invoice is cancelled; nothing leads back from there."""


class NotDraftAgain(Conflict, code="invoice_already_issued"):
    """An issued invoice never becomes a draft again; void it instead."""


class StillDraft(Conflict, code="invoice_is_draft"):
    """This invoice is a draft; publish it first."""


class NothingDue(Conflict, code="nothing_due"):
    """Nothing is due on this invoice."""


class HasPayments(Conflict, code="invoice_has_payments"):
    """Payments are applied to this invoice; unmatch them first."""


class HasCredits(Conflict, code="invoice_has_credits"):
    """Credit notes are applied to this invoice, so it cannot be voided."""


class CustomerFixed(Conflict, code="customer_fixed"):
    """The customer cannot change while money is applied to the invoice."""


class NotDeletable(Conflict, code="invoice_not_deletable"):
    """Only a draft without a number can be deleted for good; archive or void this one."""


class NotArchived(Conflict, code="invoice_not_archived"):
    """This invoice is not archived."""


class TemplateUnknown(NotFound, code="template_not_found"):
    """There is no template {template_id} to send invoices by."""


class NoEmail(Conflict, code="customer_has_no_email"):
    """The customer has no contact with an email address."""


class UnknownAction(BadRequest, code="unknown_action"):
    """There is no action {action}; known are {known}."""
