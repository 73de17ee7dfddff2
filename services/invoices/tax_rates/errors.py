"""What a tax rate can be refused for."""

from shared.errors import Conflict, NotFound


class TaxRateUnknown(NotFound, code="tax_rate_not_found"):
    """There is no tax rate {tax_rate_id}."""


class TaxRateArchived(Conflict, code="tax_rate_archived"):
    """This tax rate is archived: invoices were made with it, and it cannot be changed any more."""
