"""What must be true once everything is quiet again, whatever broke before."""

import re
from decimal import Decimal
from uuid import UUID

import asyncpg

from services import catalog
from tests.faults.business import Tenant
from tests.integration.webhooks.receiver import Receiver

PENDING = """
    select (select count(*) from payments.allocations where state in ('pending', 'reversing'))
         + (select count(*) from payments.waiting_payments where queued_at is not null)
         + (select count(*) from webhooks.deliveries where status in ('pending', 'retrying'))
"""

# Each says what is wrong; a row is a finding.
AGREEMENTS = {
    "payments and invoices differ in what is on an invoice": """
        select coalesce(p.tenant_id, i.tenant_id), coalesce(p.invoice_id, i.invoice_id), p.cents, i.cents from
            (select tenant_id, invoice_id, sum(applied_cents) as cents from payments.allocations
             where state = 'applied' group by 1, 2) p
            full join (select tenant_id, invoice_id, sum(applied_cents) as cents from invoices.applications
             where status = 'applied' group by 1, 2) i using (tenant_id, invoice_id)
        where coalesce(p.cents, 0) <> coalesce(i.cents, 0)
    """,
    "payments' copy of an invoice is not what it is": """
        select i.tenant_id, i.id, i.amount_due_cents, k.due_cents from invoices.invoices i
        left join payments.known_invoices k on k.tenant_id = i.tenant_id and k.id = i.id
        where k.id is null or k.due_cents <> i.amount_due_cents
    """,
    "an invoice's status is not what its amounts say": """
        select tenant_id, id, status, amount_due_cents from invoices.invoices
        where status <> 'cancelled' and status <> (case when amount_due_cents = 0 then 'paid'
            when amount_due_cents < amount_cents then 'partial' else 'pending' end)
    """,
    "a payment gave more than it has": """
        select p.tenant_id, p.id, p.amount_cents, sum(a.applied_cents) from payments.payments p
        join payments.allocations a on a.tenant_id = p.tenant_id and a.payment_id = p.id and a.state = 'applied'
        group by 1, 2, 3 having sum(a.applied_cents) > p.amount_cents
    """,
    "the bank does not have exactly what was paid": """
        select p.tenant_id, p.cents, l.cents from
            (select tenant_id, sum(amount_cents) as cents from payments.payments group by 1) p
            left join (select l.tenant_id, sum(l.debit_cents - l.credit_cents) as cents from invoices.journal_lines l
                where l.account_id = invoices.account_id(l.tenant_id, '1000') group by 1) l using (tenant_id)
        where p.cents is distinct from l.cents
    """,
}


async def is_quiet(conn: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Nothing is on its way any more."""
    waiting = [await conn.fetchval(f"select count(*) from {name}.outbox") for name in catalog.NAMES]
    return bool(sum(waiting) + await conn.fetchval(PENDING) == 0)


async def findings(conn: "asyncpg.Connection[asyncpg.Record]", tenants: list[Tenant], receiver: Receiver) -> list[str]:
    """Everything that is not as it must be."""
    found = [f"{what}: {tuple(row)}" for what, sql in AGREEMENTS.items() for row in await conn.fetch(sql)]
    for tenant in tenants:
        found += tenant.wrong
        found += await effects(conn, tenant)
        found += await numbers(conn, tenant.client.tenant_id)
        found += await told(conn, tenant, receiver)
    return found


async def effects(conn: "asyncpg.Connection[asyncpg.Record]", tenant: Tenant) -> list[str]:
    """Each accepted request had its effect, and no request had another."""
    found = []
    for table, accepted in (
        ("customers.customers", tenant.customers),
        ("invoices.invoices", set(tenant.invoices)),
        ("payments.payments", set(tenant.payments)),
    ):
        rows = await conn.fetch(f"select id from {table} where tenant_id = $1", tenant.client.tenant_id)
        there = {str(row["id"]) for row in rows}
        found += [f"{table}: lost {one}" for one in accepted - there]
        found += [f"{table}: {one} is nobody's" for one in there - accepted]
    amounts = await conn.fetch(
        "select id, amount_cents from payments.payments where tenant_id = $1", tenant.client.tenant_id
    )
    paid = {str(row["id"]): Decimal(row["amount_cents"]) / 100 for row in amounts}
    found += [f"payment {one} has another amount" for one in tenant.payments if paid.get(one) != tenant.payments[one]]
    rows = await conn.fetch(
        "select id from invoices.invoices where tenant_id = $1 and status = 'cancelled'", tenant.client.tenant_id
    )
    differ = {str(row["id"]) for row in rows} ^ tenant.voided
    return found + [f"invoice {one} is cancelled, or was to be, and not the other" for one in differ]


async def numbers(conn: "asyncpg.Connection[asyncpg.Record]", tenant_id: UUID) -> list[str]:
    """Invoice numbers without a gap, each once."""
    rows = await conn.fetch("select invoice_number from invoices.invoices where tenant_id = $1", tenant_id)
    given = sorted(int(re.findall(r"\d+", row["invoice_number"])[-1]) for row in rows)
    return [] if given == list(range(1, len(given) + 1)) else [f"the numbers of {tenant_id} are {given}"]


async def told(conn: "asyncpg.Connection[asyncpg.Record]", tenant: Tenant, receiver: Receiver) -> list[str]:
    """Every event reached the webhook, and there is one for each thing that was made."""
    rows = await conn.fetch(
        "select id, type, subject from webhooks.events where tenant_id = $1", tenant.client.tenant_id
    )
    received = set(receiver.per_event())
    found = [f"event {row['id']} {row['type']} never arrived" for row in rows if str(row["id"]) not in received]
    made = {(row["type"], str(row["subject"])) for row in rows}
    wanted = {("customer.created", one) for one in tenant.customers}
    wanted |= {("invoice.created", one) for one in tenant.invoices}
    wanted |= {("payment.created", one) for one in tenant.payments}
    return found + [f"{kind} of {one} was never announced" for kind, one in wanted - made]
