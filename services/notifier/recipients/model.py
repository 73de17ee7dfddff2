"""Customers, invoices and plans as their owners' events tell them: tolerant readers of only what is needed here."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

CLOSING = frozenset({"paid", "cancelled", "in_dispute", "in_payment_plan"})
"""Statuses in which no reminder may go out."""


class TagData(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of a customer."""

    id: UUID
    name: str


class ContactData(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a customer."""

    id: UUID
    contact_name: str
    email: str
    phone: str | None = None
    is_primary: bool = False
    escalation_level: int = 0


class CustomerData(msgspec.Struct, frozen=True, kw_only=True):
    """A customer."""

    id: UUID
    company_name: str
    timezone: str | None = None
    contacts: Sequence[ContactData] = ()
    tags: Sequence[TagData] = ()

    @property
    def tag_keys(self) -> list[str]:
        """What schedules may name a tag by."""
        return [key for tag in self.tags for key in (str(tag.id), tag.name.casefold())]


class InvoiceData(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice."""

    id: UUID
    customer_id: UUID
    invoice_number: str | None
    status: str
    due_date: date
    currency: str
    amount_due: Decimal
    archived_at: datetime | None = None

    @property
    def due_cents(self) -> int:
        """What is due, in cents."""
        return int(self.amount_due.scaleb(2))


class InstalmentData(msgspec.Struct, frozen=True, kw_only=True):
    """An instalment of a plan."""

    number: int
    due_date: date
    amount: Decimal


class PlanData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment plan."""

    id: UUID
    customer_id: UUID
    currency: str
    status: str
    invoice_ids: Sequence[UUID]
    instalments: Sequence[InstalmentData] = ()


class AllocationData(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a payment on an invoice."""

    id: UUID
    invoice_id: UUID
    amount: Decimal


class PaymentData(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with what it is on."""

    id: UUID
    currency: str
    payment_date: date
    payment_method: str | None = None
    allocations: Sequence[AllocationData] = ()


class EndpointData(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint that was disabled."""

    id: UUID
    url: str
    disabled_reason: str = "failing"


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator knows of a tenant."""

    tenant_id: UUID
    name: str
    live: bool
    timezone: str
    email: str | None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to write to."""

    contact_id: UUID | None
    name: str
    email: str
    phone: str | None = None
