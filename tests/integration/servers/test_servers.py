"""The servers that tests start: they answer, and come back with what they held."""

import asyncio

import aio_pika
import psycopg
import pytest

from shared.processes import StartError
from shared.testing import rabbitmq, servers


async def send(url: str, text: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.declare_queue("letters", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(text.encode(), delivery_mode=2), queue.name)


async def receive(url: str) -> str:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.get_queue("letters", ensure=False)
        async with queue.iterator(timeout=20) as messages:
            async for message in messages:
                await message.ack()
                return message.body.decode()
    raise AssertionError("no letter")


def test_a_killed_postgres_comes_back_with_its_data() -> None:
    with servers.private_postgres() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept as select 42 as answer")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url, connect_timeout=2)

        server.start()

        with psycopg.connect(server.url) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)


async def test_a_killed_broker_comes_back_with_its_messages() -> None:
    """A queue's own name reaches the disk only after a second, which this one is not given; its messages do at once."""
    with servers.private_broker() as server:
        await send(server.url, "dear reader")
        await asyncio.to_thread(server.ctl, "eval", "[dets:sync(Table) || Table <- dets:all()].")
        server.kill()
        server.start()

        assert await receive(server.url) == "dear reader"


async def test_a_broker_obeys_commands() -> None:
    with servers.private_broker() as server:
        assert "running_applications" in await asyncio.to_thread(server.ctl, "status", "--formatter", "erlang")


async def test_a_cluster_keeps_a_confirmed_message_when_a_node_dies() -> None:
    with servers.cluster() as nodes:
        await send(nodes[0].url, "dear reader")
        nodes[0].kill()

        assert await receive(nodes[1].url) == "dear reader"


def test_addresses_that_are_given_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARPILOT_TEST_POSTGRES_URL", "postgresql://given")
    monkeypatch.setenv("ARPILOT_TEST_AMQP_URL", "amqp://given")

    with servers.postgres() as database, servers.broker() as broker:
        assert (database, broker) == ("postgresql://given", "amqp://given")


def test_a_machine_without_rabbitmq_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "PLACES", ("/nowhere",))
    monkeypatch.delenv("ARPILOT_TEST_RABBITMQ_BIN", raising=False)

    with pytest.raises(StartError, match="apt-get install rabbitmq-server"):
        rabbitmq.programs()
