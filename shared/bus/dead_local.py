"""Dead letters of the local bus: rows of `dead_events` in the consuming service's schema.

Sending one back marks it; the process that runs the service sees the mark within a second (local.py).
"""

from collections.abc import Collection, Mapping

from shared.bus.dead import DeadLetter
from shared.db import Database

ALL = """
    select event_id, type, reason, attempts, died_at, body from dead_events
    where requeued_at is null order by died_at, event_id limit $1
"""
REQUEUE = """
    update dead_events set requeued_at = now()
    where requeued_at is null and ($1::text[] is null or event_id::text = any($1))
    returning 1
"""


class LocalDeadLetters:
    """Reads and marks the rows of each service."""

    def __init__(self, databases: Mapping[str, Database]) -> None:
        self._databases = databases

    async def all(self, service: str, *, limit: int) -> list[DeadLetter]:
        async with self._databases[service].connection() as conn:
            rows = await conn.fetch(ALL, limit)
        return [DeadLetter(service=service, **dict(row) | {"event_id": str(row["event_id"])}) for row in rows]

    async def requeue(self, service: str, event_ids: Collection[str] | None) -> int:
        async with self._databases[service].connection() as conn:
            return len(await conn.fetch(REQUEUE, None if event_ids is None else list(event_ids)))
