"""The bus: what carries events from one service's outbox to the others' handlers, at least once.

Two kinds, one contract: RabbitMQ (`amqp://…`), and the process itself (`local:`), where the outbox is handed to the
same handlers. Everything on top, relay and consumers, is the same for both.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.config import WrongSetting
from shared.inbox import Consumer

PREFETCH_EVENTS = 400
"""Two batches: one is handled while the next arrives."""


class Message(NamedTuple):
    """An event as the outbox holds it."""

    event_id: UUID
    type: str
    body: str


class Outcome(Enum):
    """What became of a published message."""

    CONFIRMED = "confirmed"
    """Every queue that wants it has it for good."""
    REFUSED = "refused"
    """The bus cannot take messages of this type now: no queue wants it, or one is full. Try again later."""
    UNKNOWN = "unknown"
    """Nobody knows; publish it again, the inboxes drop what came twice."""


class BusAway(Exception):
    """The bus was lost; what was not confirmed has to be published again, in order, over a new publisher."""


class Publisher(Protocol):
    """A way into the bus that keeps order. After any UNKNOWN it is spent."""

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Publish all, in order; returns what became of each once that is known."""
        ...


class Bus(Protocol):
    """A connected bus, or one that is trying to be."""

    def subscribe(self, consumer: Consumer) -> None:
        """Make the consumer's queue with its bindings before anything is published from this process."""
        ...

    def publisher(self) -> AbstractAsyncContextManager[Publisher]:
        """A publisher; waits for as long as the bus is away."""
        ...

    async def consume(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        """Hand events to the consumer until told to stop; then the batch in hand is finished."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the bus answers, as far as is known; for `/readyz`."""
        ...

    async def close(self) -> None: ...


def connect(url: str) -> Bus:
    """The bus of an address. It connects by itself, and again for ever. Raises WrongSetting for what is no address."""
    if url.startswith("local:"):
        from shared.bus.local import LocalBus  # only the bus in use is loaded

        return LocalBus()
    if not url.startswith(("amqp://", "amqps://")):
        raise WrongSetting("ARPILOT_BUS_URL is wrong: it must be local: or begin with amqp:// or amqps://.")
    from shared.bus.rabbitmq import RabbitBus  # aio-pika takes 0.1 s to import

    try:
        return RabbitBus(url)
    except ValueError as error:
        raise WrongSetting(f"ARPILOT_BUS_URL is wrong: {error}.") from None
