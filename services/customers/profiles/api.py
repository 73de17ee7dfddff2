"""The customers and contacts API."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.customers.profiles import actions, store
from services.customers.profiles.errors import (
    ContactUnknown,
    CustomerIdTaken,
    CustomerUnknown,
    HasOpenBalance,
    LastContact,
    SeveralPrimaryContacts,
)
from services.customers.profiles.model import (
    Contact,
    ContactFields,
    Customer,
    CustomerCreate,
    CustomerListed,
    CustomerPatch,
    Email,
    Name,
)
from shared.http.calls import Call
from shared.http.client import ServiceAway
from shared.http.pages import PageQuery
from shared.http.routes import Route


class CustomerQuery(PageQuery, frozen=True, kw_only=True):
    """Sort by `created_at`, `updated_at`, `company_name` or `customer_id`."""

    search: Annotated[str, Meta(max_length=200, description="part of the name or of the customer id")] | None = None
    tag_id: UUID | None = None


class ContactQuery(PageQuery, frozen=True, kw_only=True):
    """Sort by `created_at`, `contact_name`, `email` or `escalation_level`."""

    customer_id: UUID


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to delete a customer."""

    force: bool = False


class ContactCreate(ContactFields, frozen=True, kw_only=True):
    """A new contact."""

    customer_id: UUID
    contact_name: Name
    email: Email


class _Balance(msgspec.Struct, frozen=True):
    open_invoices: int
    amount_due: Decimal


class _BalanceAnswer(msgspec.Struct, frozen=True):
    data: _Balance


class _Closed(msgspec.Struct, frozen=True):
    """The invoices service answers what it cancelled; here only that it did."""


async def list_customers(call: Call[None, CustomerQuery]) -> web.StreamResponse:
    """List customers with their tags and primary contact."""
    async with call.connection() as conn:
        page = await store.list_page(
            conn, call.caller.tenant_id, call.query, search=call.query.search, tag_id=call.query.tag_id
        )
        return call.page(page)


async def create_customer(call: Call[CustomerCreate, None]) -> web.StreamResponse:
    """Make a customer.

    At least one contact is required; exactly one is primary: the one that says so, else the first. Tags are named;
    names that are new are made into tags.
    """
    async with call.transaction() as conn:
        customer = await actions.create(conn, call.caller.tenant_id, call.body, now=call.now)
        return call.created(customer, version=customer.version)


async def get_customer(call: Call[None, None]) -> web.StreamResponse:
    """Get a customer with its contacts and tags."""
    async with call.connection() as conn:
        customer = await actions.get(conn, call.caller.tenant_id, call.id("customer_id"))
        return call.reply(customer, version=customer.version)


async def update_customer(call: Call[CustomerPatch, None]) -> web.StreamResponse:
    """Change a customer, its contacts and its tags.

    Contacts with an `id` are updated, those without are made, those not mentioned stay; `delete_contact_ids` removes.
    `tags` (names or ids) replaces all tags.
    """
    async with call.transaction() as conn:
        customer = await actions.update(
            conn, call.caller.tenant_id, call.id("customer_id"), call.body, now=call.now, check=call.check_if_match
        )
        return call.reply(customer, version=customer.version)


async def delete_customer(call: Call[None, DeleteQuery]) -> web.StreamResponse:
    """Delete a customer with all that belongs to it, in every service.

    While invoices are open it is refused; `?force=true` first unapplies what was paid on them and voids them. The
    journal keeps its entries, which name no person.
    """
    tenant_id, customer_id = call.caller.tenant_id, call.id("customer_id")
    async with call.connection() as conn:
        customer = await actions.get(conn, tenant_id, customer_id)
    call.check_if_match(customer.version)
    path = f"/internal/customers/{customer_id}"
    if call.query.force:
        await call.runtime.internal.post("invoices", f"{path}/close", {"tenant_id": tenant_id}, _Closed)
    await _refuse_open_balance(call, tenant_id, path)
    async with call.transaction() as conn:
        await actions.delete(conn, tenant_id, customer_id)
        return call.deleted()


async def _refuse_open_balance(call: Call[None, DeleteQuery], tenant_id: UUID, path: str) -> None:
    answer = await call.runtime.internal.get("invoices", f"{path}/balance", _BalanceAnswer, tenant_id=tenant_id)
    if answer is None:  # it knows every customer, if only as one with nothing open
        raise ServiceAway(service="invoices", retry_after_seconds=2)
    if answer.data.open_invoices:
        raise HasOpenBalance(open_invoices=answer.data.open_invoices, amount_due=answer.data.amount_due)


async def get_customer_for_services(call: Call[None, "_TenantQuery"]) -> web.StreamResponse:
    """The customer as another service asks for it, when the event about it has not arrived there yet."""
    async with call.connection() as conn:
        return call.reply(await actions.get(conn, call.query.tenant_id, call.id("customer_id")))


async def list_contacts(call: Call[None, ContactQuery]) -> web.StreamResponse:
    """List the contacts of a customer."""
    async with call.connection() as conn:
        await actions.get(conn, call.caller.tenant_id, call.query.customer_id)
        return call.page(await store.list_contacts(conn, call.caller.tenant_id, call.query.customer_id, call.query))


async def create_contact(call: Call[ContactCreate, None]) -> web.StreamResponse:
    """Add a contact to a customer."""
    async with call.transaction() as conn:
        contact = await actions.add_contact(conn, call.caller.tenant_id, call.body.customer_id, call.body, now=call.now)
        return call.created(contact)


async def get_contact(call: Call[None, None]) -> web.StreamResponse:
    """Get a contact."""
    async with call.connection() as conn:
        contact = await store.find_contact(conn, call.caller.tenant_id, call.id("contact_id"))
    if contact is None:
        raise ContactUnknown(id=call.id("contact_id"))
    return call.reply(contact)


async def update_contact(call: Call[ContactFields, None]) -> web.StreamResponse:
    """Change a contact; pending communications to it are refreshed."""
    async with call.transaction() as conn:
        contact = await actions.update_contact(
            conn, call.caller.tenant_id, call.id("contact_id"), call.body, now=call.now
        )
        return call.reply(contact)


async def delete_contact(call: Call[None, None]) -> web.StreamResponse:
    """Delete a contact; the last one of a customer stays."""
    async with call.transaction() as conn:
        await actions.delete_contact(conn, call.caller.tenant_id, call.id("contact_id"), now=call.now)
        return call.deleted()


class _TenantQuery(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID


_REFUSED_CONTACTS = (ContactUnknown, LastContact, SeveralPrimaryContacts)

ROUTES = (
    Route(
        "GET",
        "/v1/customers",
        list_customers,
        scope="customers:read",
        query=CustomerQuery,
        returns=CustomerListed,
        many=True,
    ),
    Route(
        "POST",
        "/v1/customers",
        create_customer,
        scope="customers:write",
        body=CustomerCreate,
        returns=Customer,
        status=201,
        refuses=(CustomerIdTaken, SeveralPrimaryContacts),
    ),
    Route(
        "GET",
        "/v1/customers/{customer_id}",
        get_customer,
        scope="customers:read",
        returns=Customer,
        refuses=(CustomerUnknown,),
    ),
    *(
        Route(
            method,
            "/v1/customers/{customer_id}",
            update_customer,
            scope="customers:write",
            body=CustomerPatch,
            returns=Customer,
            refuses=(CustomerUnknown, CustomerIdTaken, *_REFUSED_CONTACTS),
        )
        for method in ("PATCH", "PUT")
    ),
    Route(
        "DELETE",
        "/v1/customers/{customer_id}",
        delete_customer,
        scope="customers:write",
        query=DeleteQuery,
        refuses=(CustomerUnknown, HasOpenBalance),
    ),
    Route(
        "GET",
        "/v1/contacts",
        list_contacts,
        scope="customers:read",
        query=ContactQuery,
        returns=Contact,
        many=True,
        refuses=(CustomerUnknown,),
    ),
    Route(
        "POST",
        "/v1/contacts",
        create_contact,
        scope="customers:write",
        body=ContactCreate,
        returns=Contact,
        status=201,
        refuses=(CustomerUnknown,),
    ),
    Route(
        "GET",
        "/v1/contacts/{contact_id}",
        get_contact,
        scope="customers:read",
        returns=Contact,
        refuses=(ContactUnknown,),
    ),
    *(
        Route(
            method,
            "/v1/contacts/{contact_id}",
            update_contact,
            scope="customers:write",
            body=ContactFields,
            returns=Contact,
            refuses=(ContactUnknown,),
        )
        for method in ("PATCH", "PUT")
    ),
    Route(
        "DELETE",
        "/v1/contacts/{contact_id}",
        delete_contact,
        scope="customers:write",
        refuses=(ContactUnknown, LastContact),
    ),
    Route(
        "GET",
        "/internal/customers/{customer_id}",
        get_customer_for_services,
        internal=True,
        query=_TenantQuery,
        returns=Customer,
    ),
)
