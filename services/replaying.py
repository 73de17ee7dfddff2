"""`arpilot events replay`: give a service once more what the event log has, after its queue was lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services import catalog
from shared import db, events
from shared.bus import Message, rabbitmq
from shared.events import Event
from shared.inbox import patterns_of

BATCH = 500

# Ids are points in time (UUIDv7), so a range of time is a range of ids.
LOGGED = """
    select tenant_id, id, type, subject, sequence, time, payload from webhooks.events
    where id >= $1 and type = any($2) order by id
"""


class _Payload(msgspec.Struct):
    data: msgspec.Raw


async def replay(owner_url: str, bus_url: str, service: str, since: datetime) -> int:
    """Put everything that the service hears, and that was logged since then, into its queue; says how many.

    What it has handled already it drops by its inbox. Events between services alone are in no log.
    """
    conn = await db.connect_once(owner_url)
    try:
        return await rabbitmq.hand_over(bus_url, service, _batches(conn, service, since))
    finally:
        await conn.close()


async def _batches(
    conn: "asyncpg.Connection[asyncpg.Record]", service: str, since: datetime
) -> AsyncIterator[Sequence[Message]]:
    sources = {kind.name: kind.source for each in catalog.find() for kind in each.events}
    patterns = patterns_of(next(each for each in catalog.find() if each.name == service).subscriptions)
    heard = [name for name in sources if events.matches_any(patterns, name)]
    async with conn.transaction():
        cursor = await conn.cursor(LOGGED, UUID(int=max(0, int(since.timestamp() * 1000)) << 80), heard)
        while rows := await cursor.fetch(BATCH):
            yield [_message(row, sources[row["type"]]) for row in rows]


def _message(row: asyncpg.Record, source: str) -> Message:
    """The event as it was published first."""
    event = Event(
        specversion="1.0",
        id=row["id"],
        source=source,
        type=row["type"],
        subject=row["subject"],
        time=row["time"],
        tenant_id=row["tenant_id"],
        sequence=row["sequence"],
        data=msgspec.json.decode(row["payload"], type=_Payload).data,
    )
    return Message(event.id, event.type, event.encode().decode())


def run(owner_url: str, bus_url: str, service: str, since: datetime) -> int:
    """The same, for a command."""
    return asyncio.run(replay(owner_url, bus_url, service, since))
