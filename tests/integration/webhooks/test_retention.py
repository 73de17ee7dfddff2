"""What is kept, and for how long."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from services.webhooks.deliveries.consumers import store_deliveries
from services.webhooks.deliveries.jobs import keep_history
from services.webhooks.log.model import first_id
from shared.ids import uuid7
from tests.harness import Client
from tests.integration.webhooks.house import House, a_webhook, an_event, delivered
from tests.integration.webhooks.receiver import Receiver

PARTITIONS = "select count(*) from pg_inherits where inhparent = 'webhooks.events'::regclass"


def id_at(instant: datetime) -> UUID:
    """A UUIDv7 as it would have been made then."""
    return UUID(int=first_id(instant).int | (uuid7().int & ((1 << 80) - 1)))


async def count(house: House, table: str) -> int:
    return int(await house.fetchval(f"select count(*) from {table}"))


async def test_old_events_go_with_their_deliveries_and_attempts_and_recent_ones_stay(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    old = msgspec.structs.replace(an_event(client.tenant_id), id=id_at(datetime.now(UTC) - timedelta(days=45)))
    recent = msgspec.structs.replace(an_event(client.tenant_id), id=id_at(datetime.now(UTC) - timedelta(days=5)))
    async with house.database.transaction() as conn:
        await store_deliveries(conn, [old, recent])
    await delivered(client, webhook["id"], "delivered", 2)

    await keep_history(house.process.runtimes["webhooks"])

    for table in ("events", "deliveries", "attempts"):
        assert await count(house, table) == 1, table
    assert (await client.get(f"/v1/events/{recent.id}")).status == 200
    assert (await client.get(f"/v1/events/{old.id}")).status == 404


async def test_a_week_that_is_over_is_dropped_whole(house: House, client: Client) -> None:
    ended = datetime.now(UTC) - timedelta(days=60)
    async with house.owner() as conn:
        await conn.execute("set search_path = webhooks")
        monday = await conn.fetchval("select date_trunc('week', $1::timestamptz, 'UTC')", ended)
        for parent in ("events", "deliveries", "attempts"):
            await conn.execute("select make_week($1, $2)", parent, monday)
    before = await house.fetchval(PARTITIONS)

    await keep_history(house.process.runtimes["webhooks"])

    assert await house.fetchval(PARTITIONS) == before - 1


async def _drop(conn: "asyncpg.Connection[asyncpg.Record]", table: str) -> None:
    """The dispatcher looks at all weeks meanwhile: whom PostgreSQL sends away tries again."""
    for _ in range(20):
        try:
            await conn.execute(f"drop table {table}")
        except asyncpg.DeadlockDetectedError:
            continue
        return
    raise AssertionError(f"{table} cannot be dropped")


async def test_weeks_are_made_ahead_and_take_over_what_the_default_partition_caught(
    house: House, client: Client
) -> None:
    """As when the job did not run for months: nothing is lost meanwhile."""
    async with house.owner() as conn:
        await conn.execute("set search_path = webhooks")
        this_week = await conn.fetchval(
            "select 'events_' || to_char(date_trunc('week', now() at time zone 'UTC'), 'YYYYMMDD')"
        )
        await _drop(conn, this_week)
    async with house.database.transaction() as conn:
        await store_deliveries(conn, [an_event(client.tenant_id)])
    assert await count(house, "events_default") == 1

    await keep_history(house.process.runtimes["webhooks"])

    assert await count(house, "events_default") == 0
    assert await count(house, this_week) == 1
    assert await house.fetchval(PARTITIONS) >= 10


async def test_what_waits_for_an_event_that_is_not_kept_any_more_is_forgotten(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    old = msgspec.structs.replace(an_event(client.tenant_id), id=id_at(datetime.now(UTC) - timedelta(days=45)))
    async with house.database.transaction() as conn:
        await conn.execute("update endpoints set is_active = false where id = $1", webhook["id"])
        await store_deliveries(conn, [old])
        await conn.execute(
            "insert into queue values ($1, $2, $3, false, 0, now(), false, $4, 1)",
            client.tenant_id,
            webhook["id"],
            old.id,
            old.subject,
        )

    await keep_history(house.process.runtimes["webhooks"])

    assert await count(house, "queue") == 0
