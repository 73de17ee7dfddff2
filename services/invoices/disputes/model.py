"""What may be disputed, and what a resolution means."""

from enum import StrEnum
from uuid import UUID

from services.invoices.disputes.errors import DisputeExceedsDue, NothingToDispute
from shared.money import major


class DisputeStatus(StrEnum):
    """A dispute is resolved once and stays so."""

    OPEN = "open"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Upheld: the customer was right, and the amount is credited. Rejected: it stays owed."""

    UPHELD = "upheld"
    REJECTED = "rejected"


def disputed_cents(invoice_id: UUID, *, due_cents: int, asked_cents: int | None) -> int:
    """How much is disputed: what was asked, by default all that is due; never more than that."""
    if due_cents <= 0:
        raise NothingToDispute(invoice_id=invoice_id, field="invoice_id")
    if asked_cents is not None and asked_cents > due_cents:
        raise DisputeExceedsDue(due=major(due_cents), invoice_id=invoice_id, field="amount")
    return due_cents if asked_cents is None else asked_cents
