"""What issuing asks the notifier to tell people."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.invoices.settlement.events import Invoice
from shared.events import EventType, NewEvent

CommunicationKind = Literal["send", "email", "remind"]


class Communication(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was queued."""

    id: UUID
    status: Literal["pending"]
    scheduled_for: datetime


class CommunicationRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to be told what, by which template and when; with the whole invoice."""

    id: UUID
    kind: CommunicationKind
    invoice_id: UUID
    customer_id: UUID
    template_id: UUID | None
    scheduled_for: datetime
    cc_self: bool
    requested_by: str
    invoice: Invoice


class PdfRequested(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice was made with `generate_pdf`."""

    invoice_id: UUID


# Between the services only: neither can be subscribed to from outside.
COMMUNICATION_REQUESTED = EventType("communication.requested", CommunicationRequested, "A message was asked for.")
PDF_REQUESTED = EventType("pdf.requested", PdfRequested, "The PDF of a new invoice was asked for.")


def communication_requested(tenant_id: UUID, request: CommunicationRequested) -> NewEvent:
    """The request as an event; its subject is the message."""
    return COMMUNICATION_REQUESTED.new(tenant_id=tenant_id, subject=request.id, sequence=1, data=request)


def pdf_requested(tenant_id: UUID, invoice_id: UUID) -> NewEvent:
    """The request as an event about the invoice."""
    return PDF_REQUESTED.new(
        tenant_id=tenant_id, subject=invoice_id, sequence=1, data=PdfRequested(invoice_id=invoice_id)
    )
