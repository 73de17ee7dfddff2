"""Rows of the copies. An older event never overwrites a newer one."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from services.notifier.recipients.model import CustomerData, InvoiceData, Person, PlanData, Tenant
from shared.db import Conn


async def save_customer(conn: Conn, tenant_id: UUID, customer: CustomerData, sequence: int) -> bool:
    """Keep a customer with its contacts; False where a newer state is known."""
    newer = await conn.fetchval(
        """insert into customers (tenant_id, customer_id, sequence, company_name, timezone, tags)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (tenant_id, customer_id) do update set sequence = excluded.sequence,
               company_name = excluded.company_name, timezone = excluded.timezone, tags = excluded.tags
           where customers.sequence < excluded.sequence and customers.deleted_at is null returning true""",
        tenant_id,
        customer.id,
        sequence,
        customer.company_name,
        customer.timezone,
        customer.tag_keys,
    )
    if newer:
        await _save_contacts(conn, tenant_id, customer)
    return bool(newer)


async def _save_contacts(conn: Conn, tenant_id: UUID, customer: CustomerData) -> None:
    await conn.execute("delete from contacts where tenant_id = $1 and customer_id = $2", tenant_id, customer.id)
    await conn.executemany(
        "insert into contacts values ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (tenant_id, customer.id, c.id, c.contact_name, c.email, c.phone, c.is_primary, c.escalation_level)
            for c in customer.contacts
        ],
    )


async def remove_customer(conn: Conn, tenant_id: UUID, customer_id: UUID, *, now: datetime) -> None:
    """Forget a customer and all that belongs to it. Its id stays, so that late events do not bring it back."""
    await conn.execute(
        """insert into customers (tenant_id, customer_id, sequence, company_name, tags, deleted_at)
           values ($1, $2, 0, '', '{}', $3)
           on conflict (tenant_id, customer_id) do update set company_name = '', timezone = null, tags = '{}',
               deleted_at = $3""",
        tenant_id,
        customer_id,
        now,
    )
    for statement in REMOVE:
        await conn.execute(statement, tenant_id, customer_id)


REMOVE = (
    """delete from unsubscribed u using contacts c where c.tenant_id = $1 and c.customer_id = $2
       and u.tenant_id = c.tenant_id and u.email = lower(c.email)""",
    "delete from contacts where tenant_id = $1 and customer_id = $2",
    "delete from plan_instalments where tenant_id = $1 and customer_id = $2",
    "delete from invoices where tenant_id = $1 and customer_id = $2",
)


class Told(NamedTuple):
    """A tenant's invoice as one of its events told of it."""

    tenant_id: UUID
    sequence: int
    invoice: InvoiceData


async def save_invoices(conn: Conn, told: Iterable[Told], *, now: datetime) -> None:
    """Keep the newest state of invoices, and let the dunning clock look at them."""
    newest = {each.invoice.id: each for each in sorted(told, key=lambda each: each.sequence)}
    rows = sorted(newest.values(), key=lambda each: each.invoice.id)
    await conn.execute(
        """insert into invoices (tenant_id, invoice_id, sequence, customer_id, invoice_number, status, due_date,
               currency, amount_due_cents, archived, look_at)
           select told.*, $11 from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[],
               $7::date[], $8::text[], $9::bigint[], $10::boolean[]) as told (tenant_id, invoice_id, sequence,
               customer_id, invoice_number, status, due_date, currency, amount_due_cents, archived)
           where not exists (select from customers c where c.tenant_id = told.tenant_id
               and c.customer_id = told.customer_id and c.deleted_at is not null)
           on conflict (tenant_id, invoice_id) do update set sequence = excluded.sequence,
               customer_id = excluded.customer_id, invoice_number = excluded.invoice_number, status = excluded.status,
               due_date = excluded.due_date, currency = excluded.currency,
               amount_due_cents = excluded.amount_due_cents, archived = excluded.archived, look_at = excluded.look_at
           where invoices.sequence < excluded.sequence""",
        [each.tenant_id for each in rows],
        [each.invoice.id for each in rows],
        [each.sequence for each in rows],
        [each.invoice.customer_id for each in rows],
        [each.invoice.invoice_number for each in rows],
        [each.invoice.status for each in rows],
        [each.invoice.due_date for each in rows],
        [each.invoice.currency for each in rows],
        [each.invoice.due_cents for each in rows],
        [each.invoice.archived_at is not None for each in rows],
        now,
    )


async def is_newest(conn: Conn, tenant_id: UUID, invoice_id: UUID, sequence: int) -> bool:
    """Whether nothing newer is known of an invoice."""
    known: int | None = await conn.fetchval(
        "select sequence from invoices where tenant_id = $1 and invoice_id = $2", tenant_id, invoice_id
    )
    return known == sequence


async def save_plan(conn: Conn, tenant_id: UUID, plan: PlanData) -> None:
    """Keep the instalments of a plan."""
    await conn.executemany(
        """insert into plan_instalments (tenant_id, plan_id, number, customer_id, invoice_id, due_date, amount_cents,
               currency) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing""",
        [
            (
                tenant_id,
                plan.id,
                i.number,
                plan.customer_id,
                plan.invoice_ids[0],
                i.due_date,
                int(i.amount.scaleb(2)),
                plan.currency,
            )
            for i in plan.instalments
        ],
    )


async def remove_plan(conn: Conn, tenant_id: UUID, plan_id: UUID) -> None:
    """A plan is over: nobody is told of its instalments any more."""
    await conn.execute("delete from plan_instalments where tenant_id = $1 and plan_id = $2", tenant_id, plan_id)


PEOPLE = """select contact_id, name, email, phone from contacts where tenant_id = $1 and customer_id = $2
    order by is_primary desc, escalation_level, name"""


async def people(conn: Conn, tenant_id: UUID, customer_id: UUID) -> list[Person]:
    """Everybody known at a customer, the primary contact first."""
    rows = await conn.fetch(PEOPLE, tenant_id, customer_id)
    return [msgspec.convert(row, Person) for row in rows]


async def timezone_of(conn: Conn, tenant_id: UUID, customer_id: UUID | None) -> str:
    """The customer's time zone, else the tenant's."""
    zone: str | None = await conn.fetchval(
        """select coalesce((select timezone from customers where tenant_id = $1 and customer_id = $2),
               (select timezone from identity.tenants where tenant_id = $1))""",
        tenant_id,
        customer_id,
    )
    return zone or "UTC"


async def tenant(conn: Conn, tenant_id: UUID) -> Tenant:
    """What the operator knows of a tenant."""
    row = await conn.fetchrow(
        "select tenant_id, name, live, timezone, email from identity.tenants where tenant_id = $1", tenant_id
    )
    assert row is not None, f"no tenant {tenant_id}"
    return msgspec.convert(row, Tenant)


async def unsubscribe(conn: Conn, tenant_id: UUID, email: str, *, now: datetime) -> None:
    """Remember that an address wants no reminders."""
    await conn.execute(
        "insert into unsubscribed (tenant_id, email, created_at) values ($1, $2, $3) on conflict do nothing",
        tenant_id,
        email.lower(),
        now,
    )


async def resubscribe(conn: Conn, tenant_id: UUID, email: str) -> None:
    """Forget that again."""
    await conn.execute("delete from unsubscribed where tenant_id = $1 and email = $2", tenant_id, email.lower())


async def unsubscribed(conn: Conn, tenant_id: UUID, emails: Sequence[str]) -> set[str]:
    """Which of these addresses want no reminders."""
    rows = await conn.fetch(
        "select email from unsubscribed where tenant_id = $1 and email = any($2)",
        tenant_id,
        [e.lower() for e in emails],
    )
    return {row["email"] for row in rows}


async def customer_name(conn: Conn, tenant_id: UUID, customer_id: UUID | None) -> str | None:
    """What a customer is called."""
    name: str | None = await conn.fetchval(
        "select company_name from customers where tenant_id = $1 and customer_id = $2", tenant_id, customer_id
    )
    return name


async def look_again(conn: Conn, tenant_id: UUID, *, now: datetime) -> None:
    """Let the dunning clock look at all open invoices of a tenant: its rules have changed."""
    await conn.execute(
        """update invoices set look_at = $2 where tenant_id = $1 and look_at > $2
           and status in ('pending', 'partial', 'overdue')""",
        tenant_id,
        now,
    )


async def look_later(conn: Conn, tenant_id: UUID, customer_id: UUID, *, at: datetime) -> None:
    """The dunning clock has looked at a customer's invoices; when to look again."""
    await conn.execute(
        "update invoices set look_at = $3 where tenant_id = $1 and customer_id = $2", tenant_id, customer_id, at
    )


async def instalment_told(conn: Conn, tenant_id: UUID, plan_id: UUID, number: int, *, now: datetime) -> None:
    """The customer has been told of an instalment."""
    await conn.execute(
        "update plan_instalments set notified_at = $4 where tenant_id = $1 and plan_id = $2 and number = $3",
        tenant_id,
        plan_id,
        number,
        now,
    )


async def customer_of(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> UUID | None:
    """Whose invoice it is."""
    customer_id: UUID | None = await conn.fetchval(
        "select customer_id from invoices where tenant_id = $1 and invoice_id = $2", tenant_id, invoice_id
    )
    return customer_id


async def known_customers(conn: Conn, tenant_id: UUID, customer_ids: Collection[UUID]) -> set[UUID]:
    """Those of these customers that the copy has."""
    rows = await conn.fetch(
        """select customer_id from customers
           where tenant_id = $1 and customer_id = any($2) and deleted_at is null""",
        tenant_id,
        list(customer_ids),
    )
    return {row["customer_id"] for row in rows}


async def knows_invoice(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> bool:
    """Whether the copy has the invoice."""
    known = await conn.fetchval(
        "select true from invoices where tenant_id = $1 and invoice_id = $2", tenant_id, invoice_id
    )
    return bool(known)
