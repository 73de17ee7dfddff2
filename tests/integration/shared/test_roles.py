"""What each service's role may see: its own schema, and the identities, which it may only read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations

import asyncpg
import pytest

from services.catalog import NAMES
from shared.migrate import role_of

TABLES = {
    "customers": "customers",
    "invoices": "invoices",
    "payments": "payments",
    "webhooks": "endpoints",
    "notifier": "communications",
}


@asynccontextmanager
async def as_role(url: str, service: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    conn = await asyncpg.connect(url, server_settings={"role": role_of(service)})
    try:
        yield conn
    finally:
        await conn.close()


@pytest.mark.parametrize("service", NAMES)
async def test_a_role_reads_its_own_schema(database_url: str, service: str) -> None:
    async with as_role(database_url, service) as conn:
        assert await conn.fetch(f"select * from {service}.{TABLES[service]}") == []


@pytest.mark.parametrize(("service", "other"), list(permutations(NAMES, 2)))
async def test_a_role_cannot_read_another_schema(database_url: str, service: str, other: str) -> None:
    async with as_role(database_url, service) as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetch(f"select * from {other}.{TABLES[other]}")


@pytest.mark.parametrize("service", NAMES)
async def test_a_role_reads_identities_and_never_writes_them(database_url: str, service: str) -> None:
    async with as_role(database_url, service) as conn:
        assert await conn.fetch("select * from identity.tenants") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("delete from identity.api_keys")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("update identity.tenants set tier = 'enterprise'")


@pytest.mark.parametrize("service", NAMES)
async def test_a_role_cannot_change_its_schema(database_url: str, service: str) -> None:
    async with as_role(database_url, service) as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(f"create table {service}.mine (x int)")
