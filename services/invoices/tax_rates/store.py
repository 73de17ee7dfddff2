"""Rows of tax rates."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.tax_rates.model import TaxRate
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

SELECT = """select id, name, trim_scale(rate) as rate, archived_at, version, created_at, updated_at from tax_rates"""

SORTS = {"created_at": Sort("created_at", datetime), "name": Sort("name", str), "rate": Sort("rate", Decimal)}


async def find(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> TaxRate | None:
    """One tax rate, archived or not."""
    return _tax_rate(await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2", tenant_id, tax_rate_id))


async def lock(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> TaxRate | None:
    """One tax rate, kept from changing until the transaction ends."""
    return _tax_rate(
        await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2 for update", tenant_id, tax_rate_id)
    )


def _tax_rate(row: asyncpg.Record | None) -> TaxRate | None:
    return None if row is None else msgspec.convert(row, TaxRate)


async def page(conn: Conn, where: Where, query: PageQuery) -> Page[TaxRate]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS)
    return rows.map(lambda row: msgspec.convert(row, TaxRate))


async def insert(conn: Conn, tenant_id: UUID, tax_rate: TaxRate) -> None:
    """Store a new tax rate."""
    await conn.execute(
        """insert into tax_rates (tenant_id, id, name, rate, version, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        tenant_id,
        tax_rate.id,
        tax_rate.name,
        tax_rate.rate,
        tax_rate.version,
        tax_rate.created_at,
        tax_rate.updated_at,
    )


async def update(conn: Conn, tenant_id: UUID, tax_rate: TaxRate) -> None:
    """Store a changed tax rate."""
    await conn.execute(
        """update tax_rates set name = $3, rate = $4, archived_at = $5, version = $6, updated_at = $7
           where tenant_id = $1 and id = $2""",
        tenant_id,
        tax_rate.id,
        tax_rate.name,
        tax_rate.rate,
        tax_rate.archived_at,
        tax_rate.version,
        tax_rate.updated_at,
    )


async def delete(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> None:
    """Remove a tax rate for good."""
    await conn.execute("delete from tax_rates where tenant_id = $1 and id = $2", tenant_id, tax_rate_id)


async def is_used(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> bool:
    """Whether an invoice, a line or a product names it."""
    used: bool = await conn.fetchval(
        """select exists (select from products where tenant_id = $1 and tax_rate_id = $2)
               or exists (select from invoices where tenant_id = $1 and $2 = any (tax_rate_ids))
               or exists (select from line_items where tenant_id = $1 and tax_rate_id = $2)""",
        tenant_id,
        tax_rate_id,
    )
    return used
