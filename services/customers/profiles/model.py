"""Customers, contacts and the rules about them; pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.customers.profiles.errors import ContactUnknown, LastContact, SeveralPrimaryContacts
from services.customers.tags.model import CustomerTag
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body, Timezone

Name = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
Email = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@\s<>,;\x00-\x1f]+@[^@\s<>,;\x00-\x1f]+\.[^@\s<>,;\x00-\x1f]+\Z")
]
Phone = Annotated[str, Meta(max_length=50)]
Text = Annotated[str, Meta(max_length=5000)]
PhoneType = Literal["mobile", "home", "work", "office", "fax", "other"]
TermsDays = Annotated[int, Meta(ge=0, le=3650)]


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person at a customer. Exactly one of a customer's contacts is primary."""

    id: UUID
    customer_id: UUID
    contact_name: str
    email: str
    phone: str | None = None
    phone_type: PhoneType | None = None
    phone_secondary: str | None = None
    phone_type_secondary: PhoneType | None = None
    is_primary: bool = False
    escalation_level: int = 0
    title: str | None = None
    notes: str | None = None
    created_at: datetime
    updated_at: datetime


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """Who owes: a company with its contacts and tags."""

    id: UUID
    customer_id: str
    company_name: str
    address: str | None = None
    timezone: str | None = None
    payment_terms_days: int | None = None
    contacts: list[Contact]
    tags: list[CustomerTag]
    version: int
    created_at: datetime
    updated_at: datetime


class CustomerListed(msgspec.Struct, frozen=True, kw_only=True):
    """A customer in a list: with its tags and its primary contact only."""

    id: UUID
    customer_id: str
    company_name: str
    address: str | None = None
    timezone: str | None = None
    payment_terms_days: int | None = None
    primary_contact: Contact | None
    tags: list[CustomerTag]
    version: int
    created_at: datetime
    updated_at: datetime


class ContactFields(Body, frozen=True, kw_only=True):
    """The fields of a contact in a request; those that are absent stay as they are."""

    contact_name: Name | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    phone: Phone | None | UnsetType = UNSET
    phone_type: PhoneType | None | UnsetType = UNSET
    phone_secondary: Phone | None | UnsetType = UNSET
    phone_type_secondary: PhoneType | None | UnsetType = UNSET
    is_primary: bool | UnsetType = UNSET
    escalation_level: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    title: Annotated[str, Meta(max_length=200)] | None | UnsetType = UNSET
    notes: Text | None | UnsetType = UNSET


class ContactUpsert(ContactFields, frozen=True, kw_only=True):
    """A contact inside its customer: with `id` it is updated, without it is made."""

    id: UUID | None = None


class CustomerCreate(Body, frozen=True, kw_only=True):
    """A new customer."""

    company_name: Name
    customer_id: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")] | None = None
    address: Text | None = None
    timezone: Timezone | None = None
    payment_terms_days: TermsDays | None = None
    contacts: Annotated[list[ContactUpsert], Meta(min_length=1, max_length=200)]
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]], Meta(max_length=100)] = []


class CustomerPatch(Body, frozen=True, kw_only=True):
    """Changes to a customer; what is absent stays, `null` clears."""

    company_name: Name | UnsetType = UNSET
    customer_id: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")] | UnsetType = UNSET
    address: Text | None | UnsetType = UNSET
    timezone: Timezone | None | UnsetType = UNSET
    payment_terms_days: TermsDays | None | UnsetType = UNSET
    contacts: Annotated[list[ContactUpsert], Meta(max_length=200)] | UnsetType = UNSET
    delete_contact_ids: Annotated[list[UUID], Meta(max_length=200)] = []
    tags: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]], Meta(max_length=100)]
        | UnsetType
    ) = UNSET


def given(fields: msgspec.Struct, *without: str) -> dict[str, Any]:
    """The fields that a request holds."""
    values = {name: getattr(fields, name) for name in fields.__struct_fields__ if name not in without}
    return {name: value for name, value in values.items() if value is not UNSET}


def change_contacts(
    contacts: Sequence[Contact],
    upserts: Sequence[ContactUpsert],
    delete_ids: Sequence[UUID],
    *,
    customer_id: UUID,
    now: datetime,
    new_ids: Sequence[UUID],
) -> list[Contact]:
    """The contacts after a request: updated, made, deleted, and exactly one of them primary.

    Raises InvalidFields, ContactUnknown, SeveralPrimaryContacts, LastContact. `new_ids` gives one id for each upsert.
    """
    _refuse_incomplete(upserts)
    after = {contact.id: contact for contact in contacts}
    wanted = [index for index, upsert in enumerate(upserts) if upsert.is_primary is True]
    if len(wanted) > 1:
        raise SeveralPrimaryContacts(field=f"contacts[{wanted[1]}].is_primary")
    primary: UUID | None = None
    for index, upsert in enumerate(upserts):
        contact = _upserted(after, upsert, index, new_ids[index], customer_id, now)
        after[contact.id] = contact
        primary = contact.id if upsert.is_primary is True else primary
    for index, contact_id in enumerate(delete_ids):
        if after.pop(contact_id, None) is None:
            raise ContactUnknown(id=contact_id, field=f"delete_contact_ids[{index}]")
    if not after:
        raise LastContact
    return with_one_primary(list(after.values()), primary, now=now)


def with_one_primary(contacts: Sequence[Contact], wanted: UUID | None, *, now: datetime) -> list[Contact]:
    """The same contacts with exactly one primary: the wanted one, else the one that is, else the first."""
    ids = [contact.id for contact in contacts]
    standing = [contact.id for contact in contacts if contact.is_primary]
    chosen = wanted if wanted in ids else (standing or ids)[0]
    return [
        contact
        if contact.is_primary == (contact.id == chosen)
        else msgspec.structs.replace(contact, is_primary=contact.id == chosen, updated_at=now)
        for contact in contacts
    ]


def _refuse_incomplete(upserts: Sequence[ContactUpsert]) -> None:
    errors = [
        FieldError(field=f"contacts[{index}].{name}", message="is required")
        for index, upsert in enumerate(upserts)
        for name in ("contact_name", "email")
        if upsert.id is None and getattr(upsert, name) is UNSET
    ]
    if errors:
        raise InvalidFields(errors)


def _upserted(
    after: dict[UUID, Contact], upsert: ContactUpsert, index: int, new_id: UUID, customer_id: UUID, now: datetime
) -> Contact:
    fields = given(upsert, "id")
    if upsert.id is None:
        return Contact(id=new_id, customer_id=customer_id, created_at=now, updated_at=now, **fields)
    if upsert.id not in after:
        raise ContactUnknown(id=upsert.id, field=f"contacts[{index}].id")
    changed = msgspec.structs.replace(after[upsert.id], **fields)
    return changed if changed == after[upsert.id] else msgspec.structs.replace(changed, updated_at=now)


def changes(before: Customer, after: Customer) -> dict[str, list[object]]:
    """What an update changed, as events tell it: `{field: [before, after]}`."""
    names = [name for name in Customer.__struct_fields__ if name not in ("version", "updated_at")]
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
