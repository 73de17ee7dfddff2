"""What RabbitMQ, or an operator with a hand on it, may do to us."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from structlog.testing import CapturingLogger

from shared import outbox
from shared.bus import Message, rabbitmq
from shared.bus.rabbitmq import DELIVERY_LIMIT, EXCHANGE, RabbitBus, queue_of
from shared.ids import uuid7
from shared.testing import servers
from shared.testing.servers import Broker
from tests.integration.events.town import THING_UNHEARD, Town, a_thing, a_town, until


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with servers.private_broker() as private:
        yield private


@pytest.fixture
async def fragile(postgres_url: str, broker: Broker, tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose broker the test may break."""
    async with a_town(postgres_url, broker.url, tmp_path, name=f"town_{uuid7().hex}") as made:
        yield made


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_broker_that_restarts_in_the_middle_loses_nothing_and_doubles_nothing(
    fragile: Town, broker: Broker, end: str
) -> None:
    async def announce_all() -> None:
        for number in range(1500):
            await fragile.announce(a_thing(str(number)))

    async with fragile.running():
        await fragile.announce(a_thing("first"))
        await fragile.heard(1)
        await asyncio.sleep(2)  # RabbitMQ 3.10 loses a quorum queue younger than about a second when it is killed
        announcing = asyncio.create_task(announce_all())
        await fragile.heard(200)
        await asyncio.to_thread(getattr(broker, end))
        await announcing
        await asyncio.to_thread(broker.start)
        await fragile.heard(1501)
        await fragile.sent()

    assert sorted(await fragile.names()) == sorted(["first", *map(str, range(1500))])
    assert await fragile.dead() == []


async def test_with_the_broker_away_at_the_start_work_goes_on_and_events_leave_later(
    fragile: Town, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = CapturingLogger()
    monkeypatch.setattr(rabbitmq, "log", heard)
    await asyncio.to_thread(broker.stop)
    async with fragile.running() as bus:
        await fragile.announce(*(a_thing(str(number)) for number in range(50)))
        await asyncio.sleep(2)
        assert not bus.connected
        await asyncio.to_thread(broker.start)
        await fragile.heard(50)
        assert bus.connected

    said = [call for call in heard.calls if call.args == ("RabbitMQ is away, trying again",)]
    assert len(said) == 2  # once for what goes out and once for what comes in, not at every attempt
    assert "test:test" not in str(heard.calls)


async def test_a_stop_while_the_broker_is_away_does_not_wait_for_it(fragile: Town, broker: Broker) -> None:
    await asyncio.to_thread(broker.stop)
    async with asyncio.timeout(10), fragile.running():
        await fragile.announce(a_thing())
        await asyncio.sleep(0.5)
    await asyncio.to_thread(broker.start)


async def test_a_queue_that_an_operator_deletes_is_made_again(rabbit_town: Town) -> None:
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("before"))
        await rabbit_town.heard(1)
        async with _channel(rabbit_town) as channel:
            await channel.queue_delete(queue_of("mirror"))
        await until(lambda: _consumes(rabbit_town))
        await rabbit_town.announce(a_thing("after"))
        await rabbit_town.heard(2)


async def test_a_queue_that_is_not_bound_any_more_is_bound_again(
    rabbit_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "LOOK_SECONDS", 0.2)
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("before"))
        await rabbit_town.heard(1)
        async with _channel(rabbit_town) as channel:
            queue = await channel.get_queue(queue_of("mirror"))
            await queue.unbind(EXCHANGE, "thing.*")
        await rabbit_town.announce(a_thing("after"))  # waits in the outbox until some queue wants it
        await rabbit_town.heard(2)


async def test_an_exchange_that_an_operator_deletes_is_made_again(rabbit_town: Town) -> None:
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("before"))
        await rabbit_town.heard(1)
        async with _channel(rabbit_town) as channel:
            await channel.exchange_delete(EXCHANGE)
        await rabbit_town.announce(a_thing("after"))
        await rabbit_town.heard(2)


async def test_a_message_that_is_no_event_is_a_dead_letter_with_the_reason(rabbit_town: Town) -> None:
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("before"))
        await rabbit_town.heard(1)
        async with _channel(rabbit_town) as channel:
            for body in (b"{", b'{"specversion": "0.3"}', b"\xff"):
                message = aio_pika.Message(body, message_id="theirs")
                await channel.default_exchange.publish(message, queue_of("mirror"))
        await rabbit_town.announce(a_thing("after"))
        await rabbit_town.heard(2)

    dead = await rabbit_town.died(3)
    assert {letter.event_id for letter in dead} == {"theirs"}
    assert all(letter.reason.startswith("NotAnEvent: ") for letter in dead)


async def test_a_message_that_kills_each_consumer_is_given_up_by_the_broker(rabbit_town: Town) -> None:
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("before"))
        await rabbit_town.heard(1)
    async with _channel(rabbit_town) as channel:
        await channel.default_exchange.publish(aio_pika.Message(b"{}", message_id="deadly"), queue_of("mirror"))
    for _ in range(DELIVERY_LIMIT + 1):
        async with _channel(rabbit_town) as channel:  # closed with the message in hand, as by the end of a process
            await (await channel.get_queue(queue_of("mirror"))).get()

    (letter,) = await rabbit_town.died(1)
    assert letter.event_id == "deadly"
    assert "delivery_limit" in letter.reason


async def test_an_event_that_no_queue_wants_stays_in_the_outbox_until_one_does(rabbit_town: Town) -> None:
    async with rabbit_town.running():
        await rabbit_town.announce(a_thing("noise", kind=THING_UNHEARD))
        await rabbit_town.announce(a_thing("chair"))
        await rabbit_town.heard(1)
        async with rabbit_town.orders.connection() as conn:
            assert await conn.fetchval("select type from outbox") == "noise.made"
        async with _channel(rabbit_town) as channel:
            late = await channel.declare_queue("late", exclusive=True)
            await late.bind(EXCHANGE, "noise.*")
            await rabbit_town.sent()
            message = await late.get()

    assert message.content_type == "application/cloudevents+json"
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_a_service_that_never_started_gets_what_was_announced_since_its_queue_was_declared(
    rabbit_town: Town,
) -> None:
    await rabbitmq.declare(rabbit_town.bus_url, {"mirror": ("thing.*",)})
    bus = RabbitBus(rabbit_town.bus_url)
    async with bus.publisher() as publisher:
        row = outbox.row(a_thing("early"))
        await publisher.publish([Message(row.event_id, row.type, row.body)])
    await bus.close()

    async with rabbit_town.running():
        await rabbit_town.heard(1)


@asynccontextmanager
async def _channel(town: Town) -> AsyncIterator[AbstractChannel]:
    """A channel of somebody else's."""
    async with await aio_pika.connect(town.bus_url) as connection:
        yield await connection.channel(on_return_raises=True)


async def _consumes(town: Town) -> bool:
    """Whether the queue is there and somebody listens to it."""
    try:
        async with _channel(town) as channel:
            queue = await channel.declare_queue(queue_of("mirror"), passive=True)
            return bool(queue.declaration_result.consumer_count)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False
