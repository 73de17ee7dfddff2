"""What is announced of disputes, in the shape that the API shows them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from services.invoices.disputes.model import DisputeStatus, Resolution
from shared.events import EventType, NewEvent


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's claim that some of an invoice is not owed."""

    id: UUID
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID
    currency: str
    status: DisputeStatus
    reason: str
    amount: Decimal
    notes: str | None
    resolution: Resolution | None
    resolution_notes: str | None
    credit_note_id: Annotated[UUID | None, Meta(description="the credit note that an upheld dispute made")]
    resolved_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


DISPUTE_CREATED = EventType("dispute.created", Dispute, "A customer disputes an invoice.")
DISPUTE_RESOLVED = EventType("dispute.resolved", Dispute, "A dispute was upheld or rejected.")

EVENTS = (DISPUTE_CREATED, DISPUTE_RESOLVED)


def announce(kind: EventType[Dispute], tenant_id: UUID, dispute: Dispute) -> NewEvent:
    """A fact about a dispute, with the whole dispute in it."""
    return kind.new(tenant_id=tenant_id, subject=dispute.id, sequence=dispute.version, data=dispute)
