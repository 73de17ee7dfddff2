"""What is announced of accounting changes, in the shape that the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from services.payments.reconciliation.model import ChangeType
from shared.events import EventType, NewEvent

ApprovalStatus = Literal["approved", "waiting"]
SyncStatus = Literal["pending", "synced", "failed"]


class ChangeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the booking."""

    account_code: Annotated[str | None, Meta(description="of the standard chart; null where `account_id` says it")]
    account_id: UUID | None
    debit: Decimal
    credit: Decimal


class AccountingChange(msgspec.Struct, frozen=True, kw_only=True):
    """One bookable fact for the accounting system."""

    id: UUID
    change_type: ChangeType
    source: str
    description: str
    invoice_id: UUID | None
    invoice_number: str | None
    customer_id: UUID | None
    payment_id: UUID | None
    credit_note_id: UUID | None
    currency: str
    amount_before: Annotated[
        Decimal,
        Meta(description="amount of the invoice or note; for payments and write-offs what was due on the invoice"),
    ]
    amount_after: Decimal
    lines: Sequence[ChangeLine]
    actor: Annotated[str | None, Meta(description="who did it, where the event says so")]
    occurred_at: datetime
    approval_status: ApprovalStatus
    approved_by: str | None
    approved_at: datetime | None
    sync_status: SyncStatus
    error_message: str | None
    synced_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


RECORD_CREATED = EventType(
    "reconciliation.record_created", AccountingChange, "A bookable fact was queued for the accounting system."
)
RECORD_UPDATED = EventType(
    "reconciliation.record_updated", AccountingChange, "A bookable fact was approved, synced or failed to sync."
)
EVENTS = (RECORD_CREATED, RECORD_UPDATED)


def announce(kind: EventType[AccountingChange], tenant_id: UUID, change: AccountingChange) -> NewEvent:
    """A fact about a change, with the whole change in it."""
    return kind.new(tenant_id=tenant_id, subject=change.id, sequence=change.version, data=change)
