"""What can be done with customers and contacts, inside the caller's transaction."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET

from services.customers.profiles import events, model, store
from services.customers.profiles.errors import ContactUnknown, CustomerUnknown
from services.customers.profiles.model import (
    Contact,
    ContactFields,
    ContactUpsert,
    Customer,
    CustomerCreate,
    CustomerPatch,
)
from services.customers.tags import actions as tags
from services.customers.tags import store as tag_store
from shared import outbox
from shared.db import Conn
from shared.ids import uuid7


async def get(conn: Conn, tenant_id: UUID, customer_id: UUID, *, lock: bool = False) -> Customer:
    """One customer; raises CustomerUnknown."""
    found = await store.find(conn, tenant_id, [customer_id], lock=lock)
    if not found:
        raise CustomerUnknown(id=customer_id)
    return found[0]


async def create(conn: Conn, tenant_id: UUID, body: CustomerCreate, *, now: datetime) -> Customer:
    """Make a customer with its contacts and tags, and announce it."""
    new_id = uuid7()
    customer = Customer(
        id=new_id,
        customer_id=body.customer_id or f"C-{new_id.hex[-12:].upper()}",
        company_name=body.company_name,
        address=body.address,
        timezone=body.timezone,
        payment_terms_days=body.payment_terms_days,
        contacts=_change(new_id, [], body.contacts, [], now),
        tags=await tags.resolve(conn, tenant_id, body.tags, now=now),
        version=1,
        created_at=now,
        updated_at=now,
    )
    await store.insert(conn, tenant_id, customer)
    await _store_parts(conn, tenant_id, customer)
    await outbox.put(conn, events.created(tenant_id, customer))
    return customer


async def update(
    conn: Conn,
    tenant_id: UUID,
    customer_id: UUID,
    body: CustomerPatch,
    *,
    now: datetime,
    check: Callable[[int], None] | None = None,
) -> Customer:
    """Change a customer, its contacts and tags. `check` may refuse the version that the change is based on."""
    before = await get(conn, tenant_id, customer_id, lock=True)
    if check:
        check(before.version)
    upserts = [] if body.contacts is UNSET else body.contacts
    fields = model.given(body, "contacts", "delete_contact_ids", "tags")
    if body.tags is not UNSET:
        fields["tags"] = await tags.resolve(conn, tenant_id, body.tags, now=now, ids_too=True)
    contacts = _change(customer_id, before.contacts, upserts, body.delete_contact_ids, now)
    return await _save(conn, tenant_id, before, msgspec.structs.replace(before, contacts=contacts, **fields), now)


async def delete(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove a customer and announce it, so that every service removes what belongs to it."""
    customer = await get(conn, tenant_id, customer_id, lock=True)
    await store.delete(conn, tenant_id, customer_id)
    await outbox.put(conn, events.deleted(tenant_id, customer))


async def add_contact(
    conn: Conn, tenant_id: UUID, customer_id: UUID, fields: ContactFields, *, now: datetime
) -> Contact:
    """Give a customer one more contact."""
    before = await get(conn, tenant_id, customer_id, lock=True)
    known = {contact.id for contact in before.contacts}
    upsert = ContactUpsert(**model.given(fields, "customer_id"))
    after = await _save_contacts(conn, tenant_id, before, [upsert], [], now)
    return next(contact for contact in after.contacts if contact.id not in known)


async def update_contact(
    conn: Conn, tenant_id: UUID, contact_id: UUID, fields: ContactFields, *, now: datetime
) -> Contact:
    """Change a contact; raises ContactUnknown."""
    before = await _customer_of(conn, tenant_id, contact_id)
    upsert = ContactUpsert(id=contact_id, **model.given(fields))
    after = await _save_contacts(conn, tenant_id, before, [upsert], [], now)
    return next(contact for contact in after.contacts if contact.id == contact_id)


async def delete_contact(conn: Conn, tenant_id: UUID, contact_id: UUID, *, now: datetime) -> None:
    """Remove a contact; raises ContactUnknown and, for the last one, LastContact."""
    before = await _customer_of(conn, tenant_id, contact_id)
    await _save_contacts(conn, tenant_id, before, [], [contact_id], now)


@asynccontextmanager
async def announcing(
    conn: Conn, tenant_id: UUID, customer_ids: Sequence[UUID], *, now: datetime
) -> AsyncIterator[list[Customer]]:
    """Lock customers while the block changes something that they show; then announce those that it changed."""
    before = await store.find(conn, tenant_id, customer_ids, lock=True)
    yield before
    after = {customer.id: customer for customer in await store.find(conn, tenant_id, customer_ids)}
    for customer in before:
        if after[customer.id] != customer:
            changed = msgspec.structs.replace(after[customer.id], version=customer.version + 1, updated_at=now)
            await store.update(conn, tenant_id, changed)
            await outbox.put(conn, events.updated(tenant_id, customer, changed))


async def _customer_of(conn: Conn, tenant_id: UUID, contact_id: UUID) -> Customer:
    customer_id = await store.customer_of_contact(conn, tenant_id, contact_id)
    if customer_id is None:
        raise ContactUnknown(id=contact_id)
    customer = await get(conn, tenant_id, customer_id, lock=True)
    if contact_id not in {contact.id for contact in customer.contacts}:  # it went while we waited for the lock
        raise ContactUnknown(id=contact_id)
    return customer


async def _save_contacts(
    conn: Conn,
    tenant_id: UUID,
    before: Customer,
    upserts: Sequence[ContactUpsert],
    delete_ids: Sequence[UUID],
    now: datetime,
) -> Customer:
    contacts = _change(before.id, before.contacts, upserts, delete_ids, now)
    return await _save(conn, tenant_id, before, msgspec.structs.replace(before, contacts=contacts), now)


async def _save(conn: Conn, tenant_id: UUID, before: Customer, after: Customer, now: datetime) -> Customer:
    """Store and announce what changed; a change that changes nothing is none."""
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1, updated_at=now)
    await store.update(conn, tenant_id, after)
    await _store_parts(conn, tenant_id, after)
    await outbox.put(conn, events.updated(tenant_id, before, after))
    return after


async def _store_parts(conn: Conn, tenant_id: UUID, customer: Customer) -> None:
    await store.replace_contacts(conn, tenant_id, customer.id, customer.contacts)
    await tag_store.replace_tags(conn, tenant_id, customer.id, [tag.id for tag in customer.tags])


def _change(
    customer_id: UUID,
    contacts: Sequence[Contact],
    upserts: Sequence[ContactUpsert],
    delete_ids: Sequence[UUID],
    now: datetime,
) -> list[Contact]:
    new_ids = [uuid7() for _ in upserts]
    return model.change_contacts(contacts, upserts, delete_ids, customer_id=customer_id, now=now, new_ids=new_ids)
