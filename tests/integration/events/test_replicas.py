"""Several processes of one service: one relay works, and each commit is heard by it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from shared import outbox, outbox_floor
from shared.bus import Message, Outcome
from shared.bus.local import LocalBus
from shared.db import Database
from shared.relay import Relay
from shared.stopping import cancel
from tests.integration.events.town import Town, a_thing, open_database, until


class CountingBus(LocalBus):
    """A bus without queues that remembers what was published through it."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Message] = []

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator["CountingBus"]:
        yield self

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        self.published += messages
        return await super().publish(messages)


async def test_only_one_of_two_relays_publishes_and_it_hears_the_commits_of_the_other(local_town: Town) -> None:
    first, second = CountingBus(), CountingBus()
    other = await open_database(local_town.dsn, "orders")
    async with _relay(local_town.orders, first):
        await local_town.announce(a_thing("wakes the first"))
        await until(lambda: _has(first, 1))
        async with _relay(other, second):
            for number in range(20):
                await Town(local_town.dsn, other, other, "local:").announce(a_thing(str(number)))
            await until(lambda: _has(first, 21))
    await other.close()

    assert second.published == []


async def test_another_relay_takes_over_when_the_first_stops(local_town: Town) -> None:
    first, second = CountingBus(), CountingBus()
    async with _relay(local_town.orders, first):
        await local_town.announce(a_thing())
        await until(lambda: _has(first, 1))
    async with _relay(local_town.orders, second):
        await local_town.announce(a_thing())
        await until(lambda: _has(second, 1))


async def test_another_relay_takes_over_when_the_first_dies(local_town: Town) -> None:
    first, second = CountingBus(), CountingBus()
    dying = asyncio.create_task(Relay("orders", local_town.orders, first).run(asyncio.Event()))
    await local_town.announce(a_thing())
    await until(lambda: _has(first, 1))
    async with local_town.orders.connection() as conn:
        await conn.execute("update leases set holder = 'a process that is no more'")
    await cancel(dying)

    async with _relay(local_town.orders, second):
        await local_town.announce(a_thing())
        await until(lambda: _has(second, 1))


async def test_a_relay_whose_lease_was_taken_stops_publishing(local_town: Town) -> None:
    first = CountingBus()
    async with _relay(local_town.orders, first):
        await local_town.announce(a_thing())
        await until(lambda: _has(first, 1))
        async with local_town.orders.connection() as conn:
            await conn.execute("update leases set holder = 'somebody else', fencing = fencing + 1")
            await conn.execute("update leases set expires_at = now() + interval '1 hour'")

        async def gave_up() -> bool:
            before = len(first.published)
            await local_town.announce(a_thing())
            await asyncio.sleep(0.2)
            return len(first.published) == before

        await until(gave_up)
        async with local_town.orders.connection() as conn:
            await conn.execute("update leases set expires_at = now()")
        await local_town.sent()


async def _has(bus: CountingBus, count: int) -> bool:
    return len(bus.published) >= count


@asynccontextmanager
async def _relay(database: Database, bus: CountingBus) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(Relay("orders", database, bus).run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def test_an_event_of_a_transaction_that_lasts_long_is_not_passed_over(
    local_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is lower than those of many events that were published and removed before it became visible."""
    monkeypatch.setattr(outbox_floor, "LOOK_SECONDS", 0.01)
    bus = CountingBus()
    async with _relay(local_town.orders, bus):
        async with local_town.orders.transaction() as conn:
            await outbox.put(conn, a_thing("long"))
            for _ in range(30):
                await local_town.announce(a_thing("short"))
                await local_town.sent()
        await until(lambda: _has(bus, 31))

    assert '"long"' in bus.published[-1].body


async def test_the_floor_rises_to_what_is_certain(local_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_floor, "LOOK_SECONDS", 0.0)
    floor = outbox_floor.OutboxFloor()
    async with local_town.orders.connection() as conn:
        await local_town.announce(*(a_thing() for _ in range(10)))
        assert [await floor.look(conn) for _ in range(3)] == [0, 0, 0]  # all ten are left
        await conn.execute("delete from outbox where id <= 6")
        assert await floor.look(conn) == 6
        async with local_town.orders.transaction() as other:
            await outbox.put(other, a_thing())
            await local_town.announce(a_thing())
            await conn.execute("delete from outbox")
            assert max([await floor.look(conn) for _ in range(5)]) <= 10  # the eleventh may still come
        assert await floor.look(conn) <= 10
        await conn.execute("delete from outbox")
        assert [await floor.look(conn) for _ in range(4)][-1] == 12


async def test_the_first_event_of_all_is_above_the_floor_however_long_nobody_said_anything(
    local_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_floor, "LOOK_SECONDS", 0.0)
    floor = outbox_floor.OutboxFloor()
    async with local_town.orders.connection() as conn:
        looks = [await floor.look(conn) for _ in range(5)]
        await local_town.announce(a_thing())

        assert {*looks, *[await floor.look(conn) for _ in range(5)]} == {0}


async def test_events_leave_while_requests_hold_every_other_connection_of_the_pool(local_town: Town) -> None:
    bus = CountingBus()
    await local_town.announce(a_thing())
    async with _relay(local_town.orders, bus), AsyncExitStack() as requests:
        await until(lambda: _has(bus, 1))
        held = [await requests.enter_async_context(local_town.orders.connection()) for _ in range(8)]
        await outbox.put(held[0], a_thing())
        await until(lambda: _has(bus, 2))
