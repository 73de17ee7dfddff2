"""What a dispute can be refused for."""

from shared.errors import Conflict, Invalid, NotFound


class DisputeUnknown(NotFound, code="dispute_not_found"):
    """There is no dispute {dispute_id}."""


class DisputeOpen(Conflict, code="dispute_already_open"):
    """Invoice {invoice_id} has an open dispute already."""


class DisputeResolved(Conflict, code="dispute_already_resolved"):
    """This dispute has been resolved already: it was {resolution}."""


class NothingToDispute(Conflict, code="nothing_to_dispute"):
    """Nothing is due on invoice {invoice_id}, so there is nothing to dispute."""


class DisputeExceedsDue(Invalid, code="dispute_exceeds_due"):
    """Only {due} is due on invoice {invoice_id}."""
