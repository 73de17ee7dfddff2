"""Dead letters on RabbitMQ: messages of `arpilot.<service>.dead`, with the reason in their headers."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from shared import events
from shared.bus.dead import ATTEMPTS, DIED_AT, REASON, DeadLetter
from shared.bus.rabbitmq import Link, declare_dead_queue, queue_of

BROKER_REASON = "x-first-death-reason"
"""What RabbitMQ itself writes when a message was delivered too often without an answer."""

GIVE_BACK_TRIES = 40
GIVE_BACK_PAUSE_SECONDS = 0.05


class RabbitDeadLetters:
    """Takes messages and gives them back; if it dies in between, RabbitMQ gives them back."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, "dead letters")

    async def all(self, service: str, *, limit: int) -> list[DeadLetter]:
        async with self._link.channel() as channel:
            queue = await declare_dead_queue(channel, service)
            messages = [message async for message in _messages(queue, limit=limit)]
            await _give_back(queue, messages)
        return [_read(service, message) for message in messages]

    async def requeue(self, service: str, event_ids: Collection[str] | None) -> int:
        """Straight into the service's own queue: the other services have handled it already."""
        requeued, kept = 0, []
        async with self._link.channel() as channel:
            queue = await declare_dead_queue(channel, service)
            async for message in _messages(queue, limit=None):
                if event_ids is None or _read(service, message).event_id in event_ids:
                    await channel.default_exchange.publish(_copy(message), queue_of(service))
                    await message.ack()
                    requeued += 1
                else:
                    kept.append(message)
            await _give_back(queue, kept)
        return requeued

    async def close(self) -> None:
        await self._link.close()


async def _messages(queue: AbstractQueue, *, limit: int | None) -> AsyncIterator[AbstractIncomingMessage]:
    """The messages that are there now, each once."""
    there = queue.declaration_result.message_count or 0
    for _ in range(there if limit is None else min(limit, there)):
        message = await queue.get(fail=False)
        if message is None:
            return
        yield message


async def _give_back(queue: AbstractQueue, messages: Sequence[AbstractIncomingMessage]) -> None:
    """Return what was only looked at, and wait a little until the next one to look will find it there."""
    for message in messages:
        await message.nack(requeue=True)
    for _ in range(GIVE_BACK_TRIES):
        declared = await queue.declare()
        if (declared.message_count or 0) >= len(messages):
            return
        await asyncio.sleep(GIVE_BACK_PAUSE_SECONDS)


def _copy(message: AbstractIncomingMessage) -> aio_pika.Message:
    """The event as it was published first."""
    return aio_pika.Message(
        message.body,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
    )


def _read(service: str, message: AbstractIncomingMessage) -> DeadLetter:
    reason = message.headers.get(REASON) or f"the broker: {message.headers.get(BROKER_REASON, 'unknown')!s}"
    died_at = message.headers.get(DIED_AT)
    event_id, event_type = _name(message)
    return DeadLetter(
        service=service,
        event_id=event_id,
        type=event_type,
        reason=str(reason),
        attempts=int(str(message.headers.get(ATTEMPTS, 0))),
        died_at=datetime.fromisoformat(str(died_at)) if died_at else None,
        body=message.body.decode(errors="replace"),
    )


def _name(message: AbstractIncomingMessage) -> tuple[str, str]:
    """Id and type of the event; what is no event is known by its message id."""
    try:
        event = events.decode(message.body)
    except events.NotAnEvent:
        return message.message_id or "", ""
    return str(event.id), event.type
