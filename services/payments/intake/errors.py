"""What is refused about payments."""

from shared.errors import Conflict, Invalid, NotFound


class PaymentUnknown(NotFound, code="payment_not_found"):
    """There is no payment {payment_id}."""


class ExternalIdTaken(Conflict, code="external_payment_id_taken"):
    """A payment with external_payment_id {external_payment_id} exists already: {payment_id}."""


class NothingUnapplied(Conflict, code="nothing_unapplied"):
    """All of this payment is on invoices or paid back; unmatch it first."""


class RefundExceedsUnapplied(Invalid, code="refund_exceeds_unapplied"):
    """Only {unapplied} of this payment is unapplied; no more can be paid back."""


class BulkTooMany(Invalid, code="bulk_too_many"):
    """At most {most} payments are taken at once; these are {count}."""


class BulkNotAList(Invalid, code="bulk_not_a_list"):
    """Send a JSON array of payments, or one payment a line as application/x-ndjson."""
