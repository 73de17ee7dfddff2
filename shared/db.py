"""PostgreSQL: a pool for each service, transactions that wake the relay, and what a lost connection looks like."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING

import asyncpg
import stamina
from asyncpg.pool import PoolConnectionProxy

from shared.config import WrongSetting
from shared.errors import Unavailable
from shared.metrics import POOL_WAIT_SECONDS

if TYPE_CHECKING:
    Conn = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    _Session = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no type arguments at run time
    Conn = asyncpg.Connection | PoolConnectionProxy
    _Session = asyncpg.Connection
"""A connection, inside its caller's transaction where it writes."""

ACQUIRE_TIMEOUT_SECONDS = 5.0
ANSWER_GRACE_SECONDS = 5.0
"""After the statement timeout the server says so; when it says nothing for so long, the connection is half-open."""

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # asyncpg raises it, too, when the server dies in mid-answer
    asyncpg.InterfaceError,
    OSError,
)
"""The server is away: the work was rolled back, or nobody knows, so the caller may repeat what is idempotent."""

CONTENDED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""The server rolled the transaction back in favour of another; repeating it is safe."""

EXHAUSTED = (asyncpg.InsufficientResourcesError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""The server has no room or no time: disk full, out of memory, statement timeout."""


class DatabaseAway(Unavailable, code="database_unavailable"):
    """The database is away; try again shortly."""


class DatabaseBusy(Unavailable, code="database_busy"):
    """The database has no room or no time for this now; try again shortly."""


class _Connection(_Session):
    """A connection whose sessions keep no state, so that giving it back costs no round trip."""

    def get_reset_query(self) -> str:
        return ""


_announcing: set[int] = set()
"""The connections, by identity, in whose transaction something was put into the outbox."""


def will_announce(conn: Conn) -> None:
    """The transaction of this connection leaves events in the outbox: the relay is to be woken when it commits."""
    _announcing.add(id(conn))


class Database:
    """One service's way to its schema."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", service: str) -> None:
        self._pool = pool
        self._service = service
        self._wait = POOL_WAIT_SECONDS.labels(service)
        self.on_commit: list[Callable[[], None]] = []
        """Called after each committed transaction, unless it said that nobody waits for it."""
        self.on_announcement: list[Callable[[], None]] = []
        """Called after each committed transaction that left events in the outbox; the relay's wake-up hangs here."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Conn]:
        """A connection for reading; raises DatabaseAway when none is to be had within five seconds."""
        with self._wait.time():
            conn = await self._acquire()
        try:
            yield conn
        finally:
            await self._pool.release(conn)

    @asynccontextmanager
    async def transaction(self, *, awaited: bool = True) -> AsyncIterator[Conn]:
        """A connection inside a transaction that commits when the block ends and rolls back when it raises.

        Not `awaited`: nothing that it does is what a worker of this process waits for.
        """
        async with self.connection() as conn:
            try:
                async with conn.transaction():
                    yield conn
            finally:
                announcing = id(conn) in _announcing
                _announcing.discard(id(conn))
        self.committed(announcing=announcing, awaited=awaited)

    def committed(self, *, announcing: bool = True, awaited: bool = True) -> None:
        """Say that something was committed: for statements that are a transaction by themselves."""
        for wake in (*(self.on_announcement if announcing else ()), *(self.on_commit if awaited else ())):
            wake()

    def for_reading(self) -> "Database":
        """The same, for statements that commit nothing: nobody is woken."""
        return Database(self._pool, self._service)

    async def _acquire(self) -> "PoolConnectionProxy[asyncpg.Record]":
        try:
            return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
        except (TimeoutError, *LOST) as error:
            raise DatabaseAway(retry_after_seconds=2) from error

    @property
    def free(self) -> int:
        """How many connections the pool could still hand out."""
        return self._pool.get_max_size() - self._pool.get_size() + self._pool.get_idle_size()

    async def close(self) -> None:
        """Wait for the connections in use, a little, then close all."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()


async def connect(
    dsn: str, *, service: str, role: str | None, pool_size: int, statement_timeout_seconds: float
) -> Database:
    """Open the pool of a service, with backoff for as long as a server is away (about two minutes)."""
    settings = {
        "search_path": f"{service},identity",
        "application_name": f"arpilot-{service}",
        "statement_timeout": str(int(statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": "60000",
        "jit": "off",
    }
    if role:
        settings["role"] = role
    async for attempt in stamina.retry_context(on=LOST, attempts=60, timeout=120, wait_max=3):
        with attempt:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=pool_size,
                connection_class=_Connection,
                server_settings=settings,
                timeout=10,
                command_timeout=statement_timeout_seconds + ANSWER_GRACE_SECONDS,
                init=_keep_dates,
            )
    return Database(pool, service)


async def connect_once(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection as the owner, for an operator's command; raises WrongSetting when the server is away."""
    try:
        return await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "arpilot-command"})
    except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError, *LOST) as error:
        raise WrongSetting(f"ARPILOT_DATABASE_URL names a database that does not let us in: {error}.") from error


DAY_ZERO = date(2000, 1, 1).toordinal()
"""PostgreSQL counts days from here."""


async def _keep_dates(conn: Conn) -> None:
    """Send the first and the last day of the calendar as what they are; asyncpg alone makes them infinite."""
    await conn.set_type_codec(
        "date",
        schema="pg_catalog",
        format="tuple",
        encoder=lambda day: (day.toordinal() - DAY_ZERO,),
        decoder=lambda days: date.fromordinal(days[0] + DAY_ZERO),
    )
