"""What RabbitMQ does to us: it dies, hangs up, is short of memory, loses a node or a queue, or brings rubbish."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import aio_pika
import aiormq

from services import catalog
from shared.bus.rabbitmq import queue_of
from shared.clock import now
from tests.faults import truth
from tests.faults.family import Family, Fault
from tests.faults.house import until
from tests.processes import arpilot

SCARCE, PLENTY = "1MB", "512MB"
PROTOCOL_ERROR = "[rabbit_channel:do(C, {'basic.ack', 999999999, false}) || C <- rabbit_channel:list()]."
LOOK_BACK = timedelta(hours=1, minutes=3)
"""What may be in a queue whose service was away for a while, and as far as clocks jump back: ids name their time."""
QUIET_SECONDS = 20.0
ANSWER_SECONDS = 10.0
MADE_SECONDS = 120.0
"""Until a queue is there again: its service first ends the batch that it has, and a cluster takes its time."""
LOGGED_SECONDS = 500.0
"""Until the log has what was announced before: what it has not cannot be replayed from it."""

TAKE_RELAY_LEASE = """
    update {name}.leases
    set holder = 'operator', fencing = fencing + 1, expires_at = clock_timestamp() + interval '1 minute'
    where name = 'relay'
"""
FREE_RELAY_LEASE = (
    "update {name}.leases set expires_at = clock_timestamp() where name = 'relay' and holder = 'operator'"
)
NOT_LOGGED = """
    select coalesce(array_agg(event_id), '{}') from public.announced a
    where not exists (select from webhooks.inbox i where i.event_id = a.event_id)
"""
"""Not told by their ids: clocks jump here, so that an id may name a time to come."""
ALL_LOGGED = """
    select not exists (select from unnest($1::uuid[]) a (event_id)
        where not exists (select from webhooks.inbox i where i.event_id = a.event_id))
"""
WAITING = " union all ".join(f"select event_id from {name}.outbox" for name in catalog.NAMES)
ALL_HANDLED = f"""
    with waiting as ({WAITING})
    select not exists (select from public.announced a
        where not exists (select from webhooks.inbox i where i.event_id = a.event_id)
        and not exists (select from waiting w where w.event_id = a.event_id))
"""


class BrokerFaults(Family):
    """The broker's own faults; those of the way to it are in `network`."""

    @property
    def faults(self) -> Mapping[str, Fault]:
        faults: dict[str, Fault] = {
            "rabbitmq crashes": self.crash,
            "rabbitmq restarts": self.restart,
            "rabbitmq closes all connections": self.hang_up,
            "rabbitmq closes all channels": self.close_channels,
            "rabbitmq is short of memory": self.raise_alarm,
            "an operator deletes a queue": self.delete_queue,
            "an operator deletes the queue of the log": self.delete_log_queue,
            "a message is no event": lambda: self.send_poison(b"this is no event"),
            "an event cannot be handled": lambda: self.send_poison(a_senseless_event()),
        }
        return faults if len(self.house.brokers) == 1 else faults | {"rabbitmq loses a node": self.lose_node}

    async def crash(self) -> None:
        for broker in self.house.brokers:
            await asyncio.to_thread(broker.kill)
        await self._start()

    async def restart(self) -> None:
        for broker in self.house.brokers:
            await asyncio.to_thread(broker.stop)
        await self._start()

    async def _start(self) -> None:
        """All at once: the nodes of a cluster wait for each other."""
        await asyncio.gather(*(asyncio.to_thread(broker.start) for broker in self.house.brokers))

    async def lose_node(self) -> None:
        lost = self.dice.choice(self.house.brokers)
        await asyncio.to_thread(lost.kill)
        await asyncio.sleep(self.dice.uniform(2, 5))
        await asyncio.to_thread(lost.start)

    async def hang_up(self) -> None:
        await self._ctl("close_all_connections", "maintenance")

    async def close_channels(self) -> None:
        """As after a protocol error: each channel is told of an acknowledgement that cannot be."""
        await self._ctl("eval", PROTOCOL_ERROR)

    async def raise_alarm(self) -> None:
        await self._ctl("set_vm_memory_high_watermark", "absolute", SCARCE)
        await asyncio.sleep(self.dice.uniform(1, 3))
        await self._ctl("set_vm_memory_high_watermark", "absolute", PLENTY)

    async def delete_queue(self) -> None:
        """With whatever is in it, and what is published before it is there again; then the operator replays the log."""
        name = self.dice.choice(("invoices", "payments", "notifier"))
        since = now() - LOOK_BACK
        self.house.thrown_away |= self.house.poison - (await truth.buried(self.house)).keys()
        await self._delete(queue_of(name))
        async with self.house.owner() as conn:
            lost = await conn.fetchval(NOT_LOGGED)
            assert await until(lambda: conn.fetchval(ALL_LOGGED, lost), seconds=LOGGED_SECONDS, every_seconds=0.2)
        await asyncio.to_thread(arpilot, self.house.environ, "events", "replay", name, "--since", since.isoformat())

    async def delete_log_queue(self) -> None:
        """That of webhooks, who keeps the log, while it is empty: relays are held up until all is handled."""
        async with self.house.owner() as conn:
            for each in catalog.NAMES:
                await conn.execute(TAKE_RELAY_LEASE.format(name=each))
            await asyncio.sleep(2)  # a relay learns within a second that it lost its lease
            if await until(lambda: conn.fetchval(ALL_HANDLED), seconds=QUIET_SECONDS):
                await self._delete(queue_of("webhooks"))
            for each in catalog.NAMES:
                await conn.execute(FREE_RELAY_LEASE.format(name=each))

    async def _delete(self, queue: str) -> None:
        """Delete it, and wait until its service has made it again."""

        async def is_there() -> bool:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await (await link.channel()).declare_queue(queue, passive=True)
            except (aiormq.exceptions.ChannelNotFoundEntity, TimeoutError):
                return False
            return True

        async with await aio_pika.connect(self.house.broker.url) as link:
            await (await link.channel()).queue_delete(queue)
            assert await until(is_there, seconds=MADE_SECONDS), f"{queue} stays away"

    async def send_poison(self, body: bytes) -> None:
        message_id = str(uuid4())
        self.house.poison.add(message_id)
        message = aio_pika.Message(body.replace(b"ID", message_id.encode()), message_id=message_id, delivery_mode=2)
        async with await aio_pika.connect(self.house.broker.url) as link:
            channel = await link.channel()
            await channel.default_exchange.publish(message, queue_of("payments"))

    async def _ctl(self, *arguments: str) -> None:
        await asyncio.to_thread(self.house.broker.ctl, *arguments)


def a_senseless_event() -> bytes:
    """An envelope that is right, about an invoice that is none."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "ID",
            "source": "/arpilot/invoices",
            "type": "invoice.created",
            "subject": str(uuid4()),
            "time": "2026-11-20T12:00:00Z",
            "tenantid": str(uuid4()),
            "sequence": 1,
            "data": {"id": "not even a UUID"},
        }
    ).encode()
