"""What is announced of credit notes, in the shape that the API shows them."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from shared.events import EventType, NewEvent


class CreditNoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the note takes back of one line of the invoice."""

    line_item_id: UUID
    quantity: Annotated[Decimal, Meta(description="0 where an amount was credited")]
    amount: Annotated[Decimal, Meta(description="net of discounts and tax")]


class CreditApplication(msgspec.Struct, frozen=True, kw_only=True):
    """What of the note lowered what is due on one invoice."""

    invoice_id: UUID
    amount: Decimal
    created_at: datetime


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the entry that the note posted."""

    account_code: str
    debit: Decimal
    credit: Decimal


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered credit note against an invoice."""

    id: UUID
    credit_note_number: str
    invoice_id: UUID
    invoice_number: str | None
    customer_id: UUID
    dispute_id: Annotated[UUID | None, Meta(description="the dispute that it settled")]
    currency: str
    reason: str
    date: date
    subtotal: Annotated[Decimal, Meta(description="what is credited, without tax")]
    tax_amount: Decimal
    amount: Annotated[Decimal, Meta(description="what is credited, with tax")]
    applied_amount: Annotated[Decimal, Meta(description="what of it lowered what is due on invoices")]
    unapplied_amount: Annotated[Decimal, Meta(description="what of it is still the customer's credit")]
    lines: Sequence[CreditNoteLine]
    applications: Sequence[CreditApplication]
    postings: Annotated[Sequence[Posting], Meta(description="the entry that the note itself posted")]
    created_by: Annotated[str | None, Meta(description="the key that made it")]
    version: int
    created_at: datetime
    updated_at: datetime


CREDIT_NOTE_CREATED = EventType("credit_note.created", CreditNote, "A credit note was made against an invoice.")

EVENTS = (CREDIT_NOTE_CREATED,)


def created(tenant_id: UUID, note: CreditNote) -> NewEvent:
    """The note exists, its entry is posted, and what was due on its invoice is lower."""
    return CREDIT_NOTE_CREATED.new(tenant_id=tenant_id, subject=note.id, sequence=note.version, data=note)
