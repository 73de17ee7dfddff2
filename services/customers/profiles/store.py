"""Rows of customers and contacts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.customers.profiles.errors import CustomerIdTaken
from services.customers.profiles.model import Contact, Customer, CustomerListed
from services.customers.tags.model import CustomerTag
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

_TAGS = """
    coalesce((select json_agg(json_build_object('id', t.id, 'name', t.name, 'color', t.color) order by lower(t.name))
    from customer_tags ct join tags t on t.tenant_id = ct.tenant_id and t.id = ct.tag_id
    where ct.tenant_id = c.tenant_id and ct.customer_id = c.id), '[]')::text as tags
"""
_CONTACTS = """
    coalesce((select json_agg(to_jsonb(k) - 'tenant_id' order by k.created_at, k.id) from contacts k
    where k.tenant_id = c.tenant_id and k.customer_id = c.id), '[]')::text as contacts
"""
_COLUMNS = """
    c.id, c.customer_id, c.company_name, c.address, c.timezone, c.payment_terms_days, c.version, c.created_at,
    c.updated_at
"""
_SELECT = f"select {_COLUMNS}, {_TAGS}, {_CONTACTS} from customers c"
_LISTED = f"""
    select {_COLUMNS}, {_TAGS}, (select (to_jsonb(k) - 'tenant_id')::text from contacts k
    where k.tenant_id = c.tenant_id and k.customer_id = c.id and k.is_primary) as primary_contact from customers c
"""
SORTS = {
    "created_at": Sort("c.created_at", datetime),
    "updated_at": Sort("c.updated_at", datetime),
    "company_name": Sort("c.company_name", str),
    "customer_id": Sort("c.customer_id", str),
}


async def find(conn: Conn, tenant_id: UUID, ids: Sequence[UUID], *, lock: bool = False) -> list[Customer]:
    """Customers by id, in the order of their ids, locked where asked for; unknown ones are left out."""
    suffix = " order by c.id for update of c" if lock else " order by c.id"
    if lock:  # first the lock alone: what the sub-selects see has to be newer than the lock
        await conn.fetch(
            "select 1 from customers c where c.tenant_id = $1 and c.id = any($2)" + suffix, tenant_id, list(ids)
        )
    rows = await conn.fetch(f"{_SELECT} where c.tenant_id = $1 and c.id = any($2) order by c.id", tenant_id, list(ids))
    return [_customer(row) for row in rows]


async def list_page(
    conn: Conn, tenant_id: UUID, query: PageQuery, *, search: str | None, tag_id: UUID | None
) -> Page[CustomerListed]:
    """One piece of the list; `search` looks into name and customer id."""
    where = Where("c.tenant_id", tenant_id)
    if search:
        pattern = f"%{_literal(search)}%"
        where.add("c.company_name ilike ? or c.customer_id ilike ?", pattern, pattern)
    if tag_id:
        where.add(
            "exists (select 1 from customer_tags x where x.tenant_id = c.tenant_id and x.customer_id = c.id"
            " and x.tag_id = ?)",
            tag_id,
        )
    count = f"select count(*) from customers c where {where.sql}"
    page = await pages.fetch(conn, _LISTED, where, query, sorts=SORTS, count=count, id_expression="c.id")
    return page.map(_listed)


async def insert(conn: Conn, tenant_id: UUID, customer: Customer) -> None:
    """Store a new customer without its contacts and tags; raises CustomerIdTaken."""
    status = await conn.execute(
        "insert into customers (tenant_id, id, customer_id, company_name, address, timezone, payment_terms_days,"
        " version, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " on conflict (tenant_id, customer_id) do nothing",
        tenant_id,
        *_values(customer),
        customer.created_at,
        customer.updated_at,
    )
    if status == "INSERT 0 0":
        raise CustomerIdTaken(customer_id=customer.customer_id, field="customer_id")


async def update(conn: Conn, tenant_id: UUID, customer: Customer) -> None:
    """Store a changed customer without its contacts and tags; raises CustomerIdTaken."""
    try:
        await conn.execute(
            "update customers set customer_id = $3, company_name = $4, address = $5, timezone = $6,"
            " payment_terms_days = $7, version = $8, updated_at = $9 where tenant_id = $1 and id = $2",
            tenant_id,
            *_values(customer),
            customer.updated_at,
        )
    except asyncpg.UniqueViolationError:
        raise CustomerIdTaken(customer_id=customer.customer_id, field="customer_id") from None


async def replace_contacts(conn: Conn, tenant_id: UUID, customer_id: UUID, contacts: Sequence[Contact]) -> None:
    """Make a customer's contacts just these."""
    await conn.execute(
        "delete from contacts where tenant_id = $1 and customer_id = $2", tenant_id, customer_id
    )  # all, since the one primary contact may move from one row to another
    await conn.execute(
        "insert into contacts select $1, r.id, r.customer_id, r.contact_name, r.email, r.phone, r.phone_type,"
        " r.phone_secondary, r.phone_type_secondary, r.is_primary, r.escalation_level, r.title, r.notes,"
        " r.created_at, r.updated_at from json_populate_recordset(null::contacts, $2::json) r",
        tenant_id,
        msgspec.json.encode(contacts).decode(),
    )


async def delete(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove a customer with its contacts and tag links."""
    await conn.execute("delete from customers where tenant_id = $1 and id = $2", tenant_id, customer_id)


async def customer_of_contact(conn: Conn, tenant_id: UUID, contact_id: UUID) -> UUID | None:
    """The customer that a contact belongs to."""
    found: UUID | None = await conn.fetchval(
        "select customer_id from contacts where tenant_id = $1 and id = $2", tenant_id, contact_id
    )
    return found


async def list_contacts(conn: Conn, tenant_id: UUID, customer_id: UUID, query: PageQuery) -> Page[Contact]:
    """One piece of a customer's contacts."""
    where = Where("tenant_id", tenant_id)
    where.add("customer_id = ?", customer_id)
    sorts = {
        "created_at": Sort("created_at", datetime),
        "contact_name": Sort("contact_name", str),
        "email": Sort("email", str),
        "escalation_level": Sort("escalation_level", int),
    }
    page = await pages.fetch(conn, "select * from contacts", where, query, sorts=sorts)
    return page.map(lambda row: msgspec.convert(row, Contact))


async def find_contact(conn: Conn, tenant_id: UUID, contact_id: UUID) -> Contact | None:
    """One contact."""
    row = await conn.fetchrow("select * from contacts where tenant_id = $1 and id = $2", tenant_id, contact_id)
    return msgspec.convert(row, Contact) if row else None


def _values(customer: Customer) -> tuple[object, ...]:
    return (
        customer.id,
        customer.customer_id,
        customer.company_name,
        customer.address,
        customer.timezone,
        customer.payment_terms_days,
        customer.version,
    )


def _customer(row: asyncpg.Record) -> Customer:
    contacts = msgspec.json.decode(row["contacts"], type=list[Contact])
    tags = msgspec.json.decode(row["tags"], type=list[CustomerTag])
    return msgspec.convert({**row, "contacts": contacts, "tags": tags}, Customer)


def _listed(row: asyncpg.Record) -> CustomerListed:
    primary = msgspec.json.decode(row["primary_contact"], type=Contact) if row["primary_contact"] else None
    tags = msgspec.json.decode(row["tags"], type=list[CustomerTag])
    return msgspec.convert({**row, "primary_contact": primary, "tags": tags}, CustomerListed)


def _literal(text: str) -> str:
    """A search text in which LIKE's wildcards mean themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
