"""Rows that the database refuses to change, as a rule that they break would have it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.harness import System


@asynccontextmanager
async def broken(system: System, table: str, row_id: str) -> AsyncIterator[None]:
    """While the block runs, no change of this row is taken."""
    name = f"broken_{row_id.replace('-', '')}"
    async with system.owner() as conn:
        await conn.execute(f"alter table {table} add constraint {name} check (id <> '{row_id}') not valid")
        try:
            yield
        finally:
            await conn.execute(f"alter table {table} drop constraint {name}")
