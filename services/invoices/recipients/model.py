"""A customer as invoices know it."""

from uuid import UUID

import msgspec


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """The copy of a customer; `sequence` is the version of the customer that it was taken from."""

    tenant_id: UUID
    customer_id: UUID
    display_name: str
    email: str | None
    address: str | None
    payment_terms_days: int | None
    sequence: int


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer's contact says that matters here."""

    email: str
    is_primary: bool = False


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as its events and the customers service show it; only what invoices need."""

    id: UUID
    company_name: str
    address: str | None = None
    payment_terms_days: int | None = None
    contacts: tuple[Contact, ...] = ()
    version: int = 0


def recipient_of(tenant_id: UUID, customer: Customer, sequence: int) -> Recipient:
    """The copy of a customer: invoices go to its primary contact."""
    primary = next((contact for contact in customer.contacts if contact.is_primary), None)
    return Recipient(
        tenant_id=tenant_id,
        customer_id=customer.id,
        display_name=customer.company_name,
        email=primary.email if primary else None,
        address=customer.address,
        payment_terms_days=customer.payment_terms_days,
        sequence=sequence,
    )
