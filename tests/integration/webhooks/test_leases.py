"""Claims: leases that die with their holder, numbers that fence off late results, and a fair share for everybody."""

import asyncio
from datetime import datetime
from uuid import UUID

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import store
from services.webhooks.deliveries.consumers import store_deliveries
from services.webhooks.deliveries.model import Status, Want
from services.webhooks.deliveries.store import Claim, Settlement
from shared import clock
from shared.ids import uuid7
from tests.harness import Client
from tests.integration.webhooks import receiver as behaviours
from tests.integration.webhooks.house import House, a_webhook, an_event, delivered
from tests.integration.webhooks.receiver import Receiver, respond

PAUSED = "insert into health select tenant_id, id, 0, null, null, null, 0, now() + interval '1 hour' from endpoints"


async def a_queue(house: House, client: Client, receiver: Receiver, count: int, **fields: object) -> UUID:
    """An endpoint with due deliveries that the dispatcher of the house leaves to the test."""
    webhook = await a_webhook(client, receiver.url(), **fields)
    await house.execute(PAUSED)
    async with house.database.transaction() as conn:
        await store_deliveries(conn, [an_event(client.tenant_id) for _ in range(count)])
    return UUID(webhook["id"])


async def a_dispatcher(house: House, lease_seconds: float = 60) -> UUID:
    name = uuid7()
    async with house.database.transaction() as conn:
        await store.register(conn, name, lease_seconds)
    return name


async def claim(house: House, dispatcher: UUID, client: Client, endpoint: UUID, count: int) -> list[Claim]:
    async with house.database.transaction() as conn:
        wants = [Want(endpoint, False, count)]
        return await store.claim(conn, dispatcher, {endpoint: client.tenant_id}, wants, now=clock.now())


def a_success(claimed: Claim) -> Settlement:
    return Settlement(
        claim=claimed,
        status=Status.DELIVERED,
        due_at=None,
        attempted_at=clock.now(),
        status_code=200,
        duration_ms=1,
        excerpt="",
        error=None,
    )


async def settle(house: House, *claims: Claim) -> int:
    async with house.database.transaction() as conn:
        return len(await store.settle(conn, [a_success(each) for each in claims], now=clock.now()))


async def bury(house: House) -> int:
    async with house.database.transaction() as conn:
        return await store.bury_dead(conn)


async def test_two_dispatchers_never_claim_the_same_delivery(house: House, client: Client, receiver: Receiver) -> None:
    endpoint = await a_queue(house, client, receiver, 60)
    one, two = await a_dispatcher(house), await a_dispatcher(house)

    claimed = await asyncio.gather(*(claim(house, each, client, endpoint, 20) for each in (one, two, one, two)))

    ids = [each.event_id for claims in claimed for each in claims]
    assert len(ids) == len(set(ids))
    assert len({each.lease for claims in claimed for each in claims}) == sum(1 for claims in claimed if claims)


async def test_a_late_result_of_a_dispatcher_that_was_given_up_changes_nothing(
    house: House, client: Client, receiver: Receiver
) -> None:
    endpoint = await a_queue(house, client, receiver, 1)
    late = await a_dispatcher(house, lease_seconds=-1)
    [old] = await claim(house, late, client, endpoint, 5)

    assert await bury(house) == 1
    [new] = await claim(house, await a_dispatcher(house), client, endpoint, 5)

    assert new.event_id == old.event_id
    assert new.lease > old.lease
    assert await settle(house, old) == 0
    assert await house.fetchval("select status from deliveries") == "pending"
    assert await settle(house, new) == 1
    assert await settle(house, new) == 0
    assert await house.fetchval("select attempts from deliveries") == 1


async def test_a_dispatcher_that_counts_as_dead_claims_nothing(
    house: House, client: Client, receiver: Receiver
) -> None:
    endpoint = await a_queue(house, client, receiver, 1)
    dead = await a_dispatcher(house, lease_seconds=-1)
    await bury(house)

    assert await claim(house, dead, client, endpoint, 5) == []
    async with house.database.transaction() as conn:
        assert not await store.still_alive(conn, dead, 10)


async def test_a_rate_limit_holds_for_all_dispatchers_together(
    house: House, client: Client, receiver: Receiver
) -> None:
    endpoint = await a_queue(house, client, receiver, 1, rate_limit_per_second=10)
    key = client.tenant_id, endpoint

    async with house.database.transaction() as one:
        meters = await store.lock_meters(one, [key])
        await store.save_meters(one, {key: clock.now()})
        waiting = asyncio.create_task(_meters_elsewhere(house, key))
        await asyncio.sleep(0.1)
        assert not waiting.done(), "the other dispatcher waits for the meter"
    assert await waiting > meters[key]


async def _meters_elsewhere(house: House, key: tuple[UUID, UUID]) -> datetime:
    async with house.database.transaction() as conn:
        return (await store.lock_meters(conn, [key]))[key]


async def test_the_backlog_of_one_tenant_does_not_hold_up_another(
    house: House, client: Client, receiver: Receiver
) -> None:
    """The busy one has five endpoints that take long and thousands of events; the quiet one has one of each."""
    quiet = await house.client()
    for number in range(5):
        await a_webhook(client, receiver.url(f"/busy{number}"))
        receiver.behave(f"/busy{number}", respond(delay_seconds=0.05))
    await a_webhook(quiet, receiver.url("/quiet"))
    await house.announce(*(an_event(client.tenant_id) for _ in range(1000)))
    await receiver.wait_for(lambda: len(receiver.posts) > 100)

    await house.announce(an_event(quiet.tenant_id))
    await receiver.wait_for(lambda: len(receiver.at("/quiet")) == 1)

    assert len(receiver.posts) < 4000, "the quiet tenant did not wait for the end of the backlog"


async def test_first_attempts_are_not_starved_by_a_heap_of_retries(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(delay_seconds=0.05))
    await house.execute(PAUSED)
    async with house.database.transaction() as conn:
        await store_deliveries(conn, [an_event(client.tenant_id) for _ in range(1500)])
    await house.execute("update queue set is_retry = true, attempts = 1, due_at = due_at - interval '1 hour'")
    await house.execute("update health set paused_until = now()")
    await receiver.wait_for(lambda: len(receiver.posts) > 50)

    fresh = an_event(client.tenant_id)
    await house.announce(fresh)
    await receiver.wait_for(lambda: str(fresh.id) in receiver.per_event())

    assert len(receiver.posts) < 1400
    await delivered(client, webhook["id"], "delivered")


async def test_no_endpoint_gets_more_at_once_than_its_bound(house: House, client: Client, receiver: Receiver) -> None:
    webhook = await a_webhook(client, receiver.url(), timeout_seconds=5)
    receiver.behave("/hook", respond(), behaviours.hang)
    await house.announce(an_event(client.tenant_id))
    await delivered(client, webhook["id"], "delivered")

    await house.announce(*(an_event(client.tenant_id) for _ in range(100)))
    await receiver.wait_for(lambda: len(receiver.posts) >= 21)
    await asyncio.sleep(0.5)

    config = house.process.runtimes["webhooks"].config
    assert isinstance(config, WebhooksConfig)
    assert len(receiver.posts) == 1 + config.concurrency_per_endpoint
    receiver.behave("/hook", respond())
