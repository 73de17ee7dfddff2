"""create, create-hot, create-idle: making invoices, against pgbench writing the same rows in one SQL function."""

import asyncio
import json
from uuid import uuid4

import aiohttp
import asyncpg

from bench.load import drive, request
from bench.rows import ROUNDS, Row, median
from bench.stage import Stage, Tenant, frozen, pgbench, stage, worked_off

SECONDS = 2.5
CONNECTIONS = 64
TENANTS = 100
LINES = [{"description": f"Line {n}", "quantity": n, "unit_price": 10 * n, "unit": "h"} for n in (1, 2, 3)]
CLIENTS = (8, 16, 32)
"""pgbench takes the best of these."""
SCRIPT = "\\set t random(1, :tenants)\nselect invoices.bench_create(:t::int);\n"
OVERRIDES = {
    "invoices": {"id": "new_id", "invoice_number": "number"},
    "line_items": {"id": "gen_random_uuid()", "invoice_id": "new_id"},
    "journal_entries": {"id": "new_entry", "source": "'issue:' || new_id", "invoice_id": "new_id"},
    "journal_lines": {"entry_id": "new_entry"},
    "idempotency_keys": {"key": "new_id::text"},
}


def body(tenant: Tenant) -> bytes:
    """An invoice of three lines."""
    return json.dumps({"customer_id": tenant.customer_id, "line_items": LINES}).encode()


async def prepare_limit(running: Stage) -> None:
    """A SQL function that writes what the app wrote for one real request: the tightest way that we know."""
    async with aiohttp.ClientSession() as session:
        for tenant in running.tenants:
            headers = {"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": "template"}
            async with session.post(f"{running.base_url}/v1/invoices", data=body(tenant), headers=headers) as response:
                assert response.status == 201, await response.text()
    conn = await running.connect()
    try:
        await conn.execute("set search_path = invoices, identity")
        await conn.execute(await _function(conn))
    finally:
        await conn.close()


async def _function(conn: "asyncpg.Connection[asyncpg.Record]") -> str:
    copies = {table: await _copy(conn, table, overrides) for table, overrides in OVERRIDES.items()}
    return f"""
    create table bench_templates as
        select row_number() over (order by tenant_id)::int as t, tenant_id, id,
            (select e.id from journal_entries e where e.tenant_id = i.tenant_id and e.invoice_id = i.id) as entry
        from invoices i;
    create unique index on bench_templates (t);
    create function bench_create(which int) returns text language plpgsql set search_path = invoices, identity as $$
    declare
        template bench_templates; new_id uuid := gen_random_uuid(); new_entry uuid := gen_random_uuid(); number text;
        document text;
    begin
        select * into template from bench_templates b where b.t = which;
        {copies["journal_entries"]} where c.tenant_id = template.tenant_id and c.id = template.entry;
        {copies["journal_lines"]} where c.tenant_id = template.tenant_id and c.entry_id = template.entry;
        update counters set last = last + 1 where tenant_id = template.tenant_id and kind = 'invoice'
            returning prefix || '-' || year || '-' || lpad(last::text, greatest(4, length(last::text)), '0')
            into number;
        {copies["invoices"]} where c.tenant_id = template.tenant_id and c.id = template.id;
        {copies["line_items"]} where c.tenant_id = template.tenant_id and c.invoice_id = template.id;
        select convert_from(k.body, 'UTF8') into document from idempotency_keys k
            where k.tenant_id = template.tenant_id and k.key = 'template';
        {copies["idempotency_keys"]} where c.tenant_id = template.tenant_id and c.key = 'template';
        insert into outbox (tenant_id, event_id, type, body) values
            (template.tenant_id, gen_random_uuid(), 'invoice.created', document),
            (template.tenant_id, gen_random_uuid(), 'invoice.issued', document);
        return number;
    end $$;
    """


async def _copy(conn: "asyncpg.Connection[asyncpg.Record]", table: str, overrides: dict[str, str]) -> str:
    rows = await conn.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        table,
    )
    columns = [row["attname"] for row in rows]
    values = [overrides.get(column, f"c.{column}") for column in columns]
    return f"insert into {table} ({', '.join(columns)}) select {', '.join(values)} from {table} c"


async def app(running: Stage, connections: int) -> tuple[float, float]:
    """Make invoices through the API; how many a second, and the median latency in milliseconds."""
    bodies = [(tenant.key, body(tenant)) for tenant in running.tenants]

    def make(number: int) -> bytes:
        key, content = bodies[number % len(bodies)]
        return request("POST", "/v1/invoices", key=key, body=content, headers=f"Idempotency-Key: {uuid4()}\r\n")

    load = await drive(running.base_url, make, connections=connections, seconds=SECONDS)
    assert not load.bad, f"{load.bad} refused"
    return load.per_second, load.percentile(0.5)


async def _limit(running: Stage, clients: int) -> tuple[float, float]:
    """pgbench's transactions a second, and its mean latency in milliseconds.

    It has the machine for itself: the app has done its work and stands still, and what pgbench put into the outbox,
    which are no events, is gone before the app goes on.
    """
    await worked_off(running)
    with frozen(running):
        found = await asyncio.to_thread(
            pgbench, running.database_url, SCRIPT, clients=clients, seconds=SECONDS, tenants=len(running.tenants)
        )
        conn = await running.connect()
        await conn.execute("truncate invoices.outbox")
        await conn.close()
    return found


async def _compare(name: str, goal: float, running: Stage) -> Row:
    await app(running, CONNECTIONS)  # warm
    best = max([(await _limit(running, clients), clients) for clients in CLIENTS])[1]
    limits, rates = [], []
    for _ in range(ROUNDS):
        limits.append((await _limit(running, best))[0])
        rates.append((await app(running, CONNECTIONS))[0])
    ratio = median([rate / limit for rate, limit in zip(rates, limits, strict=True)])
    return Row(name, goal, ratio, at_least=True, detail=f"{median(rates):.0f}/s against {median(limits):.0f}/s")


async def _all_in_one() -> str:
    """The same where one process does all that follows from an invoice, too."""
    async with stage(tenants=TENANTS) as running:
        await app(running, CONNECTIONS)
        rates = [(await app(running, CONNECTIONS))[0] for _ in range(ROUNDS)]
    return f"; {median(rates):.0f}/s while the same process works its events off in all five services"


async def create() -> list[Row]:
    """100 tenants, 64 connections."""
    async with stage(alone="invoices", tenants=TENANTS) as running:
        await prepare_limit(running)
        row = await _compare("create", 1.1, running)
    row.detail += await _all_in_one()
    return [row]


async def create_hot() -> list[Row]:
    """One tenant: one counter that everybody waits for."""
    async with stage(alone="invoices", tenants=1) as running:
        await prepare_limit(running)
        return [await _compare("create-hot", 2.0, running)]


async def create_idle() -> list[Row]:
    """Latency of a single client."""
    async with stage(alone="invoices", tenants=TENANTS) as running:
        await prepare_limit(running)
        await app(running, 1)
        pairs = [((await _limit(running, 1))[1], (await app(running, 1))[1]) for _ in range(ROUNDS)]
        detail = f"{median([ours for _, ours in pairs]):.2f} ms against {median([limit for limit, _ in pairs]):.2f} ms"
        return [Row("create-idle", 2.5, median([ours / limit for limit, ours in pairs]), at_least=False, detail=detail)]
