"""A flood: a backlog of events is worked off by services that were away, in bounded memory."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import asyncpg

from shared.identity import admin
from shared.testing.servers import private_broker
from tests.faults.chaos import LONG, say
from tests.faults.house import until
from tests.processes import arpilot, environment, processes

EVENTS = 200_000 if LONG else 5_000
EVENTS_PER_SECOND = 100
"""Generous: what is asserted is that the backlog goes, not how fast."""
MOST_BYTES = 350 << 20
"""Of any process, whatever the length of the backlog."""
SAMPLE = Path(__file__).parents[1] / "contract" / "samples" / "invoice.created.json"
NAMES = ("invoices", "payments", "notifier", "webhooks")
CONSUMERS = ("payments", "notifier", "webhooks")

# As uuid7 makes them, since the log of events is cut by the week that an id names.
FLOOD = """
    insert into invoices.outbox (tenant_id, event_id, type, body)
    select $1, event_id, 'invoice.created', replace(replace($2, 'EVENT', event_id::text), 'INVOICE', invoice_id::text)
    from (select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5('e' || n), 1, 3) || '8' || substr(md5('e' || n), 4, 15))::uuid as event_id,
        md5('i' || n)::uuid as invoice_id from generate_series(1, $3) as n) as flood
"""


async def test_a_backlog_is_worked_off_in_bounded_memory(database_url: str, tmp_path: Path) -> None:
    with private_broker() as broker:
        environ = environment(database_url, broker.url, tmp_path)
        await asyncio.to_thread(arpilot, environ, "migrate")
        await asyncio.to_thread(arpilot, environ, "events", "declare")
        conn = await asyncpg.connect(database_url)
        await _flood(conn)

        with processes(environ, tmp_path, names=NAMES) as services:

            async def is_worked_off() -> bool:
                left = await conn.fetchval("select count(*) from invoices.outbox")
                done = [await conn.fetchval(f"select count(*) from {name}.inbox") for name in CONSUMERS]
                return bool(left == 0 and min(done) >= EVENTS)  # some of them announce something in turn

            assert await until(is_worked_off, seconds=EVENTS / EVENTS_PER_SECOND + 60, every_seconds=1)
            most = {name: process.most_bytes for name, process in services.items()}
        say(f"{EVENTS} events; most memory { ({name: size >> 20 for name, size in most.items()}) } MiB")

        assert await conn.fetchval("select count(*) from payments.known_invoices") == EVENTS
        assert await conn.fetchval("select count(*) from notifier.invoices") == EVENTS
        logged = "select count(*) from webhooks.events where type = 'invoice.created'"
        assert await conn.fetchval(logged) == EVENTS
        assert max(most.values()) < MOST_BYTES, most
        await conn.close()


async def _flood(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    tenant_id = await admin.create_tenant(
        conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD", email="o@example.com"
    )
    await conn.execute(FLOOD, tenant_id, _template(tenant_id), EVENTS, timeout=120)


def _template(tenant_id: UUID) -> str:
    """A recorded event with blanks for its id and for that of its invoice."""
    event = json.loads(SAMPLE.read_text())
    event |= {"id": "EVENT", "subject": "INVOICE", "tenantid": str(tenant_id)}
    event["data"]["id"] = "INVOICE"
    return json.dumps(event)
