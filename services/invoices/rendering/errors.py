"""What documents can be refused for."""

from shared.errors import Conflict, Invalid, NotFound, Unavailable


class NotAPdf(Invalid, code="not_a_pdf"):
    """`pdf_base64` must be a PDF document in base64, at most {limit_mib} MiB."""


class PdfNotOurs(Conflict, code="pdf_not_generated_here"):
    """This invoice has a PDF from another source ({pdf_source}); delete it before one is generated."""


class NoPdf(NotFound, code="pdf_not_found"):
    """This invoice has no PDF; generate or upload one first."""


class LinkUnknown(NotFound, code="link_unknown"):
    """This link is not valid, or not any more."""


class EInvoiceIncomplete(Invalid, code="einvoice_incomplete"):
    """The invoice cannot be made into an EN 16931 e-invoice: {missing}."""


class NothingDue(Conflict, code="nothing_due"):
    """Nothing is due on this invoice."""


class ProviderUnsigned(Invalid, code="signature_invalid"):
    """The signature of the payment provider's message is missing, wrong or too old."""


class NoProvider(Conflict, code="no_payment_provider"):
    """Paying online is not set up here; use the bank details on the invoice."""


class ProviderAway(Unavailable, code="payment_provider_unavailable"):
    """The payment provider is away; try again shortly, or pay by bank transfer."""
