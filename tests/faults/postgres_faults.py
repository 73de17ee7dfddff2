"""What PostgreSQL does to us: it dies, hangs up, is slow, has no connection left, no room, or other favourites."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from services import catalog
from tests.faults.family import Family, Fault
from tests.faults.house import STATEMENT_SECONDS

if TYPE_CHECKING:
    Conn = asyncpg.Connection[asyncpg.Record]

CONNECTIONS = 250
"""More than the server has."""
TABLES = tuple(f"{name}.{table}" for name in catalog.NAMES for table in ("outbox", "inbox"))
HANG_UP = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'arpilot-%'"
RAISE = """
    create or replace function public.sabotage() returns trigger language plpgsql as $$
    begin
        if random() < {chance} then raise exception 'sabotage' using errcode = '{code}'; end if;
        return new;
    end $$
"""
DEADLOCK, SERIALIZATION, DISK_FULL, OUT_OF_MEMORY = "40P01", "40001", "53100", "53200"


class PostgresFaults(Family):
    """The server's own faults; those of the way to it are in `network`."""

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {
            "postgres crashes": self.crash,
            "postgres restarts": self.restart,
            "postgres ends all connections": self.hang_up,
            "postgres stalls until statements time out": self.stall,
            "postgres stalls while requests crowd": self.exhaust_pool,
            "postgres has no connection left": self.exhaust_server,
            "postgres finds deadlocks": lambda: self.refuse(DEADLOCK, chance=0.3),
            "postgres refuses to serialize": lambda: self.refuse(SERIALIZATION, chance=0.3),
            "postgres' disk is full": lambda: self.refuse(DISK_FULL, chance=1),
            "postgres is out of memory": lambda: self.refuse(OUT_OF_MEMORY, chance=0.5),
        }

    async def crash(self) -> None:
        """As `pg_ctl stop -m immediate`: it recovers from its log at the next start."""
        await asyncio.to_thread(self.house.postgres.kill)
        await self._start()

    async def restart(self) -> None:
        await asyncio.to_thread(self.house.postgres.stop)
        await self._start()

    async def _start(self) -> None:
        await asyncio.sleep(self.dice.uniform(0, 1))
        await asyncio.to_thread(self.house.postgres.start)

    async def hang_up(self) -> None:
        async with self.house.owner() as conn:
            await conn.execute(HANG_UP)

    async def stall(self) -> None:
        async with self._stalled(self.dice.choice(TABLES)):
            await asyncio.sleep(STATEMENT_SECONDS + 1)

    async def exhaust_pool(self) -> None:
        """More requests than connections, all waiting for the disk."""
        tenant = self.dice.choice(self.house.tenants)
        async with asyncio.TaskGroup() as crowd, self._stalled("invoices.outbox"):
            for _ in range(30):
                crowd.create_task(tenant.bill())
            await asyncio.sleep(2 * STATEMENT_SECONDS)

    async def exhaust_server(self) -> None:
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(self.house.owner())
            await conn.execute(HANG_UP)
            try:
                for _ in range(CONNECTIONS):
                    await stack.enter_async_context(self.house.owner())
            except asyncpg.TooManyConnectionsError:
                await asyncio.sleep(self.dice.uniform(1, 3))

    async def refuse(self, code: str, *, chance: float) -> None:
        """Whatever announces or handles an event fails in the middle of its transaction."""
        async with self.house.owner() as conn:
            await conn.execute(RAISE.format(chance=chance, code=code))
            try:
                for table in TABLES:
                    await conn.execute(
                        f"create trigger sabotage before insert on {table} for each row"
                        " execute function public.sabotage()"
                    )
                await asyncio.sleep(self.dice.uniform(2, 3))
            finally:
                for table in TABLES:
                    await conn.execute(f"drop trigger if exists sabotage on {table}")

    @asynccontextmanager
    async def _stalled(self, table: str) -> AsyncIterator["Conn"]:
        """Whatever touches this table waits, as it would for a disk."""
        async with self.house.owner() as conn, conn.transaction():
            await conn.execute(f"lock table {table} in access exclusive mode")
            yield conn
