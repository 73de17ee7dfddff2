"""Where reading the outbox may begin, so that the relay does not walk over the remains of all that it has removed.

While anybody holds an old snapshot (a backup, a long report), PostgreSQL keeps removed rows. With 200,000 of them each
look at the outbox took 200 ms from the beginning, and 0.4 ms from the floor.

The floor is no watermark of what was published. It passes an id only when every transaction that may have taken that id
has ended, and no row is left at or below it.
"""

import time
from typing import NamedTuple

from shared.db import Conn

LOOK_SECONDS = 2.0
LOOKS_PER_SWEEP = 30
"""Every so often everything is read from the beginning all the same."""

# A sequence that nobody has used yet says 1 already, which is the id of the first event to come.
LOOK = """
    select (select last_value - (not is_called)::int from outbox_id_seq) as highest_id,
           (select min(id) from outbox where id > $1) as lowest_left_id,
           pg_snapshot_xmin(snapshot)::text::bigint as oldest_running,
           pg_snapshot_xmax(snapshot)::text::bigint as next_transaction
    from pg_current_snapshot() as snapshot
"""


class _Candidate(NamedTuple):
    """An id, and the transaction before which all must have ended until nobody can bring that id any more."""

    id: int
    transaction: int


class OutboxFloor:
    """Rises every two seconds, by what is certain."""

    def __init__(self) -> None:
        self._floor = 0
        self._candidate: _Candidate | None = None
        self._highest_before: int | None = None
        self._looks = 0
        self._next_look = 0.0

    async def look(self, conn: Conn) -> int:
        """The id above which everything is that is left or may still come; usually without asking the database."""
        if time.monotonic() < self._next_look:
            return self._floor
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._looks += 1
        if self._looks % LOOKS_PER_SWEEP == 0:
            self._floor = 0
        row = await conn.fetchrow(LOOK, self._floor)
        assert row is not None
        self._rise(row["lowest_left_id"], row["oldest_running"])
        self._nominate(row["highest_id"], row["next_transaction"])
        return self._floor

    def _rise(self, lowest_left_id: int | None, oldest_running: int) -> None:
        if self._candidate and oldest_running >= self._candidate.transaction:
            certain = self._candidate.id
            self._floor = certain if lowest_left_id is None else min(certain, lowest_left_id - 1)
            self._candidate = None

    def _nominate(self, highest_id: int, next_transaction: int) -> None:
        """The highest id of the look before: an id is taken just before its transaction has a number."""
        if self._candidate is None and self._highest_before is not None:
            self._candidate = _Candidate(self._highest_before, next_transaction)
        self._highest_before = highest_id
