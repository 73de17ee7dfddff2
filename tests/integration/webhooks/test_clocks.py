"""Hosts whose clocks differ: what one of them writes down, another one finds due."""

from datetime import timedelta

import pytest

from services.webhooks.deliveries.consumers import store_deliveries
from shared import clock
from tests.harness import Client, wait_for
from tests.integration.webhooks.house import House, a_webhook, an_event
from tests.integration.webhooks.receiver import Receiver, respond

AHEAD = timedelta(hours=1)


async def test_what_a_host_took_in_whose_clock_is_ahead_is_delivered_by_the_others_at_once(
    house: House, client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_webhook(client, receiver.url())
    with monkeypatch.context() as there:
        early = clock.now() + AHEAD
        there.setattr("services.webhooks.deliveries.consumers.clock.now", lambda: early)
        async with house.database.transaction() as conn:
            await store_deliveries(conn, [an_event(client.tenant_id)])

    await receiver.wait_for(lambda: len(receiver.posts) == 1)


async def test_a_jump_of_the_host_s_clock_does_not_put_off_a_retry(
    house: House, client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500), respond(200))
    with monkeypatch.context() as here:
        early = clock.now() + AHEAD
        here.setattr(clock, "now", lambda: early)
        await house.announce(an_event(client.tenant_id))
        await receiver.wait_for(lambda: len(receiver.posts) == 1)
        await wait_for(lambda: house.fetchval("select true from queue where is_retry and lease is null"))

    await receiver.wait_for(lambda: len(receiver.posts) == 2)
