"""Dead letters: events that a service gave up, where its operator can list them, read them and send them back."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

import msgspec
from pamqp.common import FieldTable

from shared.clock import now
from shared.db import Database

REASON = "x-arpilot-reason"
ATTEMPTS = "x-arpilot-attempts"
DIED_AT = "x-arpilot-died-at"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One event that a service could not handle."""

    service: str
    event_id: str
    type: str
    reason: str
    attempts: int
    died_at: datetime | None
    body: str


class DeadLetters(Protocol):
    """The dead letters of every service, on either bus."""

    async def all(self, service: str, *, limit: int) -> list[DeadLetter]:
        """The oldest dead letters of a service; looking at them changes nothing."""
        ...

    async def requeue(self, service: str, event_ids: Collection[str] | None) -> int:
        """Send these back to the service, or all with None; returns how many were."""
        ...


@asynccontextmanager
async def open_dead_letters(bus_url: str, databases: Mapping[str, Database]) -> AsyncIterator[DeadLetters]:
    """The dead letters of the bus of this address; the databases, by service, are what the local bus keeps them in."""
    if bus_url.startswith("local:"):
        from shared.bus.dead_local import LocalDeadLetters  # only the bus in use is loaded

        yield LocalDeadLetters(databases)
        return
    from shared.bus.dead_rabbitmq import RabbitDeadLetters  # aio-pika takes 0.1 s to import

    dead_letters = RabbitDeadLetters(bus_url)
    try:
        yield dead_letters
    finally:
        await dead_letters.close()


def headers_of(reason: str, attempts: int) -> FieldTable:
    """The AMQP headers that say why a message is dead."""
    return {REASON: reason, ATTEMPTS: attempts, DIED_AT: now().isoformat()}
