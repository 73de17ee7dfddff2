"""A connection that is half-open, so that nothing arrives and nothing is refused, is given up after a while."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared import db
from shared.clock import now
from shared.db import LOST, Database, DatabaseAway
from shared.ids import uuid7
from shared.inbox import Consumer, Subscription
from tests.faults.house import address_of, by_way_of
from tests.faults.proxy import Proxy, proxying
from tests.integration.events.town import Town, a_thing, note

STATEMENT_SECONDS = 1.0


@pytest_asyncio.fixture
async def way(postgres_url: str) -> AsyncIterator[Proxy]:
    async with proxying(address_of(postgres_url)) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def far(local_town: Town, way: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """The database of a service, by way of a network that may fail."""
    monkeypatch.setattr(db, "ANSWER_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(db, "ACQUIRE_TIMEOUT_SECONDS", 0.5)
    database = await db.connect(
        by_way_of(way, local_town.dsn),
        service="mirror",
        role=None,
        pool_size=5,
        statement_timeout_seconds=STATEMENT_SECONDS,
    )
    yield database
    await database.close()


async def test_a_statement_that_is_never_answered_ends_and_the_next_one_works(far: Database, way: Proxy) -> None:
    way.shut()
    with pytest.raises((*LOST, DatabaseAway)):
        async with asyncio.timeout(10), far.transaction() as conn:
            await conn.execute("select 1")
    way.drop()
    way.heal()

    async with far.connection() as conn:
        assert await conn.fetchval("select 1") == 1


async def test_events_wait_behind_a_half_open_connection_and_none_is_given_up(far: Database, way: Proxy) -> None:
    consumer = Consumer("mirror", far, (Subscription("thing.made", note),))
    event = a_thing("one").seal(id=uuid7(), time=now(), traceparent=None)
    way.shut()
    handling = asyncio.create_task(consumer.consume([event]))
    await asyncio.sleep(2 * STATEMENT_SECONDS)
    way.drop()
    way.heal()

    assert await handling == []
    async with far.connection() as conn:
        assert await conn.fetchval("select count(*) from effects") == 1
