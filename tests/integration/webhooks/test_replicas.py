"""Several dispatchers as processes of their own, one of which is killed in the middle of its work."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from services.webhooks.app import SERVICE
from shared import migrate
from shared.outbox import INSERT
from shared.testing import servers
from tests.harness import Client, environment, wait_for
from tests.integration.webhooks.house import a_house, a_webhook, an_event
from tests.integration.webhooks.receiver import Receiver, respond

EVENTS = 1500
IN_FLIGHT = 40
SPEEDY = {
    "ARPILOT_WEBHOOKS_LEASE_SECONDS": "5",
    "ARPILOT_WEBHOOKS_CONCURRENCY": str(IN_FLIGHT),
    "ARPILOT_WEBHOOKS_CONCURRENCY_PER_ENDPOINT": "10",
}


@asynccontextmanager
async def a_replica(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The webhooks service in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "run", "webhooks"),
        env=environ | {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp")},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def announce(url: str, client: Client, count: int) -> set[str]:
    """Write events into the outbox; whichever replica relays them takes them in."""
    events = [an_event(client.tenant_id) for _ in range(count)]
    conn = await asyncpg.connect(url, server_settings={"search_path": "webhooks"})
    bodies = [event.encode().decode() for event in events]
    ids = [event.id for event in events]
    await conn.execute(INSERT, [client.tenant_id] * count, ids, ["invoice.created"] * count, bodies)
    await conn.close()
    return {str(event_id) for event_id in ids}


async def dispatchers(url: str) -> int:
    conn = await asyncpg.connect(url)
    found = await conn.fetchval("select count(*) from webhooks.dispatchers")
    await conn.close()
    return int(found)


async def test_a_killed_dispatcher_loses_nothing_and_repeats_at_most_what_was_in_flight(
    webhooks_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    environ = environment(webhooks_url, "local:", tmp_path, **SPEEDY)
    async with a_house(environ | {"ARPILOT_WEBHOOKS_CONCURRENCY": "1"}) as house:
        client = await house.client()
        for number in range(4):
            await a_webhook(client, receiver.url(f"/{number}"))
    for number in range(4):
        receiver.behave(f"/{number}", respond(delay_seconds=0.02))

    async with a_replica(environ) as one, a_replica(environ):
        await wait_for(lambda: _both(webhooks_url))
        announced = await announce(webhooks_url, client, EVENTS)
        await receiver.wait_for(lambda: len(receiver.posts) > EVENTS)

        one.send_signal(signal.SIGKILL)
        await receiver.wait_for(lambda: len(_deliveries(receiver)) == 4 * EVENTS)
        await asyncio.sleep(1)

    assert {event for _, event in _deliveries(receiver)} == announced
    assert len(receiver.posts) - 4 * EVENTS <= IN_FLIGHT


async def _both(url: str) -> bool:
    return await dispatchers(url) == 2


def _deliveries(receiver: Receiver) -> set[tuple[str, str]]:
    return {(post.path, post.event_id) for post in receiver.posts}


async def test_a_dispatcher_that_stops_hands_its_work_back_and_repeats_nothing(
    webhooks_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    environ = environment(webhooks_url, "local:", tmp_path)
    async with a_house(environ) as house:
        client = await house.client()
        await a_webhook(client, receiver.url())
        receiver.behave("/hook", respond(delay_seconds=0.1))
        await house.announce(*(an_event(client.tenant_id) for _ in range(200)))
        await receiver.wait_for(lambda: len(receiver.posts) >= 30)

    conn = await asyncpg.connect(webhooks_url)
    assert await conn.fetchval("select count(*) from webhooks.queue where lease is not null") == 0
    assert await conn.fetchval("select count(*) from webhooks.dispatchers") == 0
    left = await conn.fetchval("select count(*) from webhooks.queue")
    assert left == 200 - len(receiver.posts)
    await conn.close()

    async with a_house(environ):
        await receiver.wait_for(lambda: len(receiver.posts) == 200)
    assert set(receiver.per_event().values()) == {1}


async def test_a_database_that_dies_and_comes_back_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    with servers.private_postgres() as server:
        await asyncio.to_thread(migrate.apply, server.url, {"webhooks": SERVICE.migrations}, {})
        environ = environment(server.url, "local:", tmp_path, **SPEEDY)
        async with a_house(environ) as house:
            client = await house.client()
            await a_webhook(client, receiver.url())
            receiver.behave("/hook", respond(delay_seconds=0.02))
            events = [an_event(client.tenant_id) for _ in range(300)]
            await house.announce(*events)
            await receiver.wait_for(lambda: len(receiver.posts) > 50)

            await asyncio.to_thread(server.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(server.start)

            await receiver.wait_for(lambda: len(receiver.per_event()) == 300)
            await house.nothing_queued()

    assert set(receiver.per_event()) == {str(event.id) for event in events}
    assert len(receiver.posts) - 300 <= IN_FLIGHT
