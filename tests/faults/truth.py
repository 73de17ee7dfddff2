"""What must be true once everything is quiet again, whatever broke before."""

import re
from collections import Counter
from collections.abc import Mapping
from uuid import UUID

import asyncpg

from services import catalog
from shared.bus.dead import DeadLetter
from shared.bus.dead_rabbitmq import RabbitDeadLetters
from shared.events import matches
from shared.inbox import patterns_of
from tests.faults.business import Tenant
from tests.faults.house import House
from tests.integration.webhooks.receiver import Receiver

# A witness of every event that was ever committed, since services remove theirs once they are published.
WITNESS = """
    create table public.announced (event_id uuid primary key, service text, type text, tenant_id uuid);
    create function public.announce() returns trigger language plpgsql security definer as $$
    begin
        insert into public.announced values (new.event_id, tg_table_schema, new.type, new.tenant_id);
        return null;
    end $$;
"""
WATCH = "create trigger witness after insert on {name}.outbox for each row execute function public.announce()"

ON_THEIR_WAY = {
    **{f"events of {name}": f"select count(*) from {name}.outbox" for name in catalog.NAMES},
    "matches": "select count(*) from payments.allocations where state in ('pending', 'reversing')",
    "payments to match": "select count(*) from payments.waiting_payments where queued_at is not null",
    "bank files": "select count(*) from payments.payment_imports where status = 'processing'",
    "deliveries": "select count(*) from webhooks.deliveries where status in ('pending', 'retrying')",
}

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
        select i.tenant_id, i.id, i.amount_due_cents, k.due_cents, i.status, k.status, k.claimed_cents
        from invoices.invoices i left join payments.known_invoices k on k.tenant_id = i.tenant_id and k.id = i.id
        where k.id is null or k.due_cents <> i.amount_due_cents or k.status <> i.status or k.claimed_cents <> 0
    """,
    "notifier's copy of an invoice is not what it is": """
        select i.tenant_id, i.id, i.amount_due_cents, n.amount_due_cents, i.status, n.status
        from invoices.invoices i left join notifier.invoices n on n.tenant_id = i.tenant_id and n.invoice_id = i.id
        where n.invoice_id is null or n.amount_due_cents <> i.amount_due_cents or n.status <> i.status
    """,
    "a copy of a customer is not what it is": """
        select c.tenant_id, c.id, c.version, n.sequence, r.sequence from customers.customers c
        left join notifier.customers n on n.tenant_id = c.tenant_id and n.customer_id = c.id
        left join invoices.recipients r on r.tenant_id = c.tenant_id and r.customer_id = c.id
        where n.sequence is distinct from c.version or r.sequence is distinct from c.version
    """,
    "an invoice's status is not what its amounts say": """
        select tenant_id, id, status, amount_due_cents from invoices.invoices
        where status <> 'cancelled' and status <> (case when amount_due_cents = 0 then 'paid'
            when disputed then 'in_dispute' when in_plan then 'in_payment_plan'
            when matched_cents + external_payment_cents + credited_cents > 0 then 'partial' else 'pending' end)
    """,
    "what is on an invoice is not what was applied to it": """
        select i.tenant_id, i.id, i.matched_cents, a.cents, i.credited_cents, c.cents from invoices.invoices i
        left join (select tenant_id, invoice_id, sum(applied_cents) as cents from invoices.applications
            where status = 'applied' group by 1, 2) a on a.tenant_id = i.tenant_id and a.invoice_id = i.id
        left join (select tenant_id, invoice_id, sum(amount_cents) as cents from invoices.credit_applications
            group by 1, 2) c on c.tenant_id = i.tenant_id and c.invoice_id = i.id
        where i.matched_cents <> coalesce(a.cents, 0) or i.credited_cents <> coalesce(c.cents, 0)
    """,
    "an invoice is in dispute or in a plan, and there is none, or the other way round": """
        select i.tenant_id, i.id, i.disputed, i.in_plan from invoices.invoices i
        where i.disputed <> exists (select from invoices.disputes d
                where d.tenant_id = i.tenant_id and d.invoice_id = i.id and d.status = 'open')
            or i.in_plan <> exists (select from invoices.plan_invoices v
                join invoices.plans p on p.tenant_id = v.tenant_id and p.id = v.plan_id
                where v.tenant_id = i.tenant_id and v.invoice_id = i.id and p.status = 'active')
    """,
    "a payment's sums are not those of its allocations": """
        select p.tenant_id, p.id, p.amount_cents, p.applied_cents, p.reserved_cents, sum(a.applied_cents)
        from payments.payments p left join payments.allocations a
            on a.tenant_id = p.tenant_id and a.payment_id = p.id and a.state = 'applied'
        group by p.tenant_id, p.id having p.applied_cents <> coalesce(sum(a.applied_cents), 0)
            or p.reserved_cents <> 0 or p.applied_cents > p.amount_cents
    """,
    "the bank does not have exactly what was paid": """
        select p.tenant_id, p.cents, l.cents from
            (select tenant_id, sum(amount_cents) as cents from payments.payments group by 1) p
            left join (select l.tenant_id, sum(l.debit_cents - l.credit_cents) as cents from invoices.journal_lines l
                where l.account_id = invoices.account_id(l.tenant_id, '1000') group by 1) l using (tenant_id)
        where p.cents is distinct from l.cents
    """,
    "a bank file was not taken in": """
        select tenant_id, id, status, rows, accepted, error from payments.payment_imports
        where status <> 'completed' or accepted <> rows
    """,
    "a delivery was given up": """
        select tenant_id, event_id, status, attempts from webhooks.deliveries where status = 'failed'
    """,
}


async def witness(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Remember from now on every event that is committed."""
    await conn.execute(WITNESS)
    for name in catalog.NAMES:
        await conn.execute(WATCH.format(name=name))


async def waiting(conn: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """What is on its way still."""
    counts = {what: await conn.fetchval(sql) for what, sql in ON_THEIR_WAY.items()}
    return [f"{count} {what} are still on their way" for what, count in counts.items() if count]


async def findings(conn: "asyncpg.Connection[asyncpg.Record]", house: House, heard: "Heard") -> list[str]:
    """Everything that is not as it must be."""
    found = [f"{what}: {tuple(row)}" for what, sql in AGREEMENTS.items() for row in await conn.fetch(sql)]
    found += await handled(conn)
    found += await dead(house)
    for tenant in house.tenants:
        found += tenant.wrong
        found += await effects(conn, tenant)
        found += await numbers(conn, tenant.client.tenant_id)
        found += await told(conn, tenant, heard)
    return found


async def handled(conn: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Each event that was committed had its effect in each service that hears its type, and no other event had."""
    types = [row["type"] for row in await conn.fetch("select distinct type from public.announced")]
    found = []
    for service in catalog.find():
        patterns = patterns_of(service.subscriptions)
        heard = [type_ for type_ in types if any(matches(pattern, type_) for pattern in patterns)]
        rows = await conn.fetch(
            f"""select event_id, type, received_at from (select * from public.announced where type = any($1)) a
                full join {service.name}.inbox i using (event_id)
                where a.event_id is null or i.event_id is null""",
            heard,
        )
        found += [f"{service.name} and an event: {row['event_id']} {row['type']} {row['received_at']}" for row in rows]
    return found


async def dead(house: House) -> list[str]:
    """Nothing was given up but what nobody could handle."""
    letters = await buried(house)
    lost = [f"poison {one} is nowhere" for one in house.poison - house.thrown_away - letters.keys()]
    return lost + [f"given up: {letter}" for one, letter in letters.items() if one not in house.poison]


async def buried(house: House) -> dict[str, DeadLetter]:
    """The dead letters of all services by the ids of their messages."""
    letters = RabbitDeadLetters(house.broker.url)
    try:
        return {str(each.event_id): each for name in catalog.NAMES for each in await letters.all(name, limit=1000)}
    finally:
        await letters.close()


async def effects(conn: "asyncpg.Connection[asyncpg.Record]", tenant: Tenant) -> list[str]:
    """Each accepted request had its effect, and no request had another."""
    tenant_id = tenant.client.tenant_id
    found = []
    for sql, accepted in (
        ("select id, null from customers.customers", dict.fromkeys(tenant.customers)),
        ("select id, null from invoices.invoices", dict.fromkeys(tenant.invoices)),
        (
            "select id, amount_cents from payments.payments where source <> 'import' and tenant_id = $1",
            {one: int(amount * 100) for one, amount in tenant.payments.items()},
        ),
        (
            "select external_payment_id, null from payments.payments where source = 'import' and tenant_id = $1",
            dict.fromkeys(tenant.imported),
        ),
        (
            "select id, null from invoices.invoices where status = 'cancelled' and tenant_id = $1",
            dict.fromkeys(tenant.voided),
        ),
        (
            """select n.id, n.amount_cents from invoices.credit_notes n where n.tenant_id = $1 and not exists (
                select from invoices.disputes d where d.tenant_id = n.tenant_id and d.credit_note_id = n.id)""",
            {one: int(amount * 100) for one, amount in tenant.credits.items()},
        ),
        ("select id, coalesce(resolution, 'open') from invoices.disputes", tenant.disputes),
        ("select id, status = 'cancelled' from invoices.plans", tenant.plans),
    ):
        rows = await conn.fetch(sql if "$1" in sql else f"{sql} where tenant_id = $1", tenant_id)
        found += differences(sql, {str(row[0]): row[1] for row in rows}, accepted)
    return found


def differences(what: str, there: Mapping[str, object], accepted: Mapping[str, object]) -> list[str]:
    found = [f"{what}: lost {one}" for one in accepted.keys() - there.keys()]
    found += [f"{what}: {one} is nobody's" for one in there.keys() - accepted.keys()]
    both = there.keys() & accepted.keys()
    return found + [
        f"{what}: {one} is {there[one]}, not {accepted[one]}" for one in both if there[one] != accepted[one]
    ]


async def numbers(conn: "asyncpg.Connection[asyncpg.Record]", tenant_id: UUID) -> list[str]:
    """Numbers of invoices and credit notes without a gap, each once."""
    found = []
    for table, column in (("invoices", "invoice_number"), ("credit_notes", "credit_note_number")):
        rows = await conn.fetch(f"select {column} from invoices.{table} where tenant_id = $1", tenant_id)
        given = sorted(int(re.findall(r"\d+", row[column])[-1]) for row in rows)
        if given != list(range(1, len(given) + 1)):
            found.append(f"the {column}s of {tenant_id} are {given}")
    return found


async def told(conn: "asyncpg.Connection[asyncpg.Record]", tenant: Tenant, heard: "Heard") -> list[str]:
    """Every event reached the webhook, and there is one for each thing that was made."""
    tenant_id = tenant.client.tenant_id
    rows = await conn.fetch("select id, type, subject from webhooks.events where tenant_id = $1", tenant_id)
    found = [f"event {row['id']} {row['type']} never arrived" for row in rows if not heard.per_event[str(row["id"])]]
    made = Counter((row["type"], str(row["subject"])) for row in rows)
    wanted = {("customer.created", one) for one in tenant.customers}
    wanted |= {("invoice.created", one) for one in tenant.invoices}
    wanted |= {("payment.created", one) for one in tenant.payments}
    wanted |= {("credit_note.created", one) for one in tenant.credits}
    wanted |= {("dispute.created", one) for one in tenant.disputes}
    wanted |= {("payment_plan.enrolled", one) for one in tenant.plans}
    return found + [
        f"{kind} of {one} was announced {made[kind, one]} times" for kind, one in wanted if made[kind, one] != 1
    ]


class Heard:
    """What arrived at the receiver, without the bodies, since a long run fills the memory with them."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.per_event: Counter[str] = Counter()

    def listen(self) -> None:
        """Take over what has arrived since the last time."""
        self.per_event += self._receiver.per_event()
        self._receiver.posts.clear()
