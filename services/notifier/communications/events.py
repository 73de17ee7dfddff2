"""A communication as the API shows it, which is also what its events carry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.events import EventType, NewEvent

Status = Literal["pending", "sending", "sent", "failed", "cancelled"]
Kind = Literal["send", "email", "remind", "dunning", "receipt", "plan_instalment", "statement", "notice"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the last try failed."""

    code: str
    reason: str


class Communication(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to a customer. Lists leave out `text` and `html`."""

    id: UUID
    kind: Kind
    status: Status
    template_id: UUID | None
    template_stage: str | None
    customer_id: UUID | None
    invoice_id: UUID | None
    invoice_ids: Annotated[Sequence[UUID], Meta(description="all invoices that it is about")]
    contact_id: UUID | None
    to_name: str
    to_email: str
    to_phone: str | None
    cc: Sequence[str]
    cc_self: bool
    scheduled_for: datetime
    attempts: int
    next_attempt_at: datetime | None
    message_id: str | None
    subject: str | None
    held: Annotated[bool, Meta(description="the mail of a test tenant: kept readable, never sent")]
    problem: Problem | None
    cancel_reason: str | None
    requested_by: str | None
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    text: str | None | UnsetType = UNSET
    html: str | None | UnsetType = UNSET


COMMUNICATION_SENT = EventType("communication.sent", Communication, "A mail was handed over to the mail server.")
COMMUNICATION_FAILED = EventType("communication.failed", Communication, "A mail could not be sent and is given up.")
EVENTS = (COMMUNICATION_SENT, COMMUNICATION_FAILED)


def announce(kind: EventType[Communication], tenant_id: UUID, communication: Communication) -> NewEvent:
    """A fact about a communication, without the words of the mail."""
    bare = msgspec.structs.replace(communication, text=UNSET, html=UNSET)
    return kind.new(tenant_id=tenant_id, subject=bare.id, sequence=bare.version, data=bare)
