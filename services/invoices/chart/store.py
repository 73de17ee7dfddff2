"""Rows of accounts."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.chart.errors import AccountCodeTaken
from services.invoices.chart.model import Account
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

SELECT = "select id, code, name, type, is_system, archived_at, version, created_at, updated_at from accounts"

SORTS = {"code": Sort("code", str), "created_at": Sort("created_at", datetime), "name": Sort("name", str)}


async def seed(conn: Conn, tenant_id: UUID) -> None:
    """Give the tenant the system's accounts; nothing where it has them."""
    await conn.execute("select seed_chart($1)", tenant_id)


async def find(conn: Conn, tenant_id: UUID, account_id: UUID) -> Account | None:
    """One account, archived or not."""
    return _account(await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2", tenant_id, account_id))


async def lock(conn: Conn, tenant_id: UUID, account_id: UUID) -> Account | None:
    """One account, kept from changing until the transaction ends."""
    return _account(await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2 for update", tenant_id, account_id))


def _account(row: asyncpg.Record | None) -> Account | None:
    return None if row is None else msgspec.convert(row, Account)


async def page(conn: Conn, where: Where, query: PageQuery) -> Page[Account]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS)
    return rows.map(lambda row: msgspec.convert(row, Account))


async def insert(conn: Conn, tenant_id: UUID, account: Account) -> None:
    """Store a new account; its code must be new to the tenant."""
    try:
        async with conn.transaction():
            await conn.execute(
                """insert into accounts (tenant_id, id, code, name, type, version, created_at, updated_at)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)""",
                tenant_id,
                account.id,
                account.code,
                account.name,
                account.type,
                account.version,
                account.created_at,
                account.updated_at,
            )
    except asyncpg.UniqueViolationError:
        raise AccountCodeTaken(code=account.code, field="code") from None


async def update(conn: Conn, tenant_id: UUID, account: Account) -> None:
    """Store a changed account; its code must not be another's."""
    try:
        async with conn.transaction():
            await conn.execute(
                """update accounts set code = $3, name = $4, type = $5, archived_at = $6, version = $7, updated_at = $8
                   where tenant_id = $1 and id = $2""",
                tenant_id,
                account.id,
                account.code,
                account.name,
                account.type,
                account.archived_at,
                account.version,
                account.updated_at,
            )
    except asyncpg.UniqueViolationError:
        raise AccountCodeTaken(code=account.code, field="code") from None


async def delete(conn: Conn, tenant_id: UUID, account_id: UUID) -> None:
    """Remove an account for good."""
    await conn.execute("delete from accounts where tenant_id = $1 and id = $2", tenant_id, account_id)


async def has_postings(conn: Conn, tenant_id: UUID, account_id: UUID) -> bool:
    """Whether the journal names it."""
    used: bool = await conn.fetchval(
        "select exists (select from journal_lines where tenant_id = $1 and account_id = $2)", tenant_id, account_id
    )
    return used


async def is_named(conn: Conn, tenant_id: UUID, account_id: UUID) -> bool:
    """Whether a product or a line, posted or not, names it."""
    named: bool = await conn.fetchval(
        """select exists (select from products where tenant_id = $1 and account_id = $2)
               or exists (select from line_items where tenant_id = $1 and account_id = $2)""",
        tenant_id,
        account_id,
    )
    return named
