"""A claim that PostgreSQL made and whose answer the network lost: nobody may believe that somebody is at it."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest_asyncio

from services.webhooks.deliveries.consumers import store_deliveries
from shared.events import Event
from tests.faults.house import address_of, by_way_of
from tests.faults.proxy import Proxy, proxying
from tests.harness import environment
from tests.integration.webhooks.house import House, a_house, a_webhook, an_event
from tests.integration.webhooks.receiver import Receiver, respond

LOST = b"the answer with this is lost"
SLOW_SECONDS = 4.0


@pytest_asyncio.fixture
async def way(webhooks_url: str) -> AsyncIterator[Proxy]:
    async with proxying(address_of(webhooks_url)) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def far_house(webhooks_url: str, way: Proxy, tmp_path: Path) -> AsyncIterator[House]:
    """The service, by way of a network that may fail; its leases do not run out while a test waits."""
    async with a_house(
        environment(by_way_of(way, webhooks_url), "local:", tmp_path, ARPILOT_WEBHOOKS_LEASE_SECONDS="3600")
    ) as made:
        yield made


async def store(url: str, *events: Event) -> None:
    """Put events into the log and the queue, past the network that fails."""
    conn = await asyncpg.connect(url, server_settings={"search_path": "webhooks"})
    async with conn.transaction():
        await store_deliveries(conn, list(events))
    await conn.close()


async def test_what_a_lost_claim_took_is_delivered_and_what_is_in_flight_is_not_repeated(
    far_house: House, webhooks_url: str, way: Proxy, receiver: Receiver
) -> None:
    client = await far_house.client()
    await a_webhook(client, receiver.url("/hook"))
    receiver.behave("/hook", respond(delay_seconds=SLOW_SECONDS))
    in_flight = [an_event(client.tenant_id) for _ in range(5)]
    taken = [an_event(client.tenant_id, data={"memo": LOST.decode()}) for _ in range(5)]

    await store(webhooks_url, *in_flight)
    await receiver.wait_for(lambda: len(receiver.posts) == len(in_flight))
    way.down.shut_before(LOST)
    await store(webhooks_url, *taken)
    assert await way.down.has_held(lambda held: LOST in held, seconds=20)
    way.drop()
    way.heal()

    await receiver.wait_for(lambda: len(receiver.per_event()) == len(in_flight) + len(taken))
    await far_house.nothing_queued()
    assert receiver.per_event() == {str(event.id): 1 for event in [*in_flight, *taken]}
