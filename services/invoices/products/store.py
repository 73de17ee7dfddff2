"""Rows of products."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.products.model import Product
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

SELECT = """select id, name, description, trim_scale(unit_price) as unit_price, unit, account_id, taxable, tax_rate_id,
    archived_at, version, created_at, updated_at from products"""

SORTS = {"created_at": Sort("created_at", datetime), "name": Sort("name", str)}


async def find(conn: Conn, tenant_id: UUID, product_id: UUID) -> Product | None:
    """One product, archived or not."""
    return _product(await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2", tenant_id, product_id))


async def lock(conn: Conn, tenant_id: UUID, product_id: UUID) -> Product | None:
    """One product, kept from changing until the transaction ends."""
    return _product(await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2 for update", tenant_id, product_id))


def _product(row: asyncpg.Record | None) -> Product | None:
    return None if row is None else msgspec.convert(row, Product)


async def page(conn: Conn, where: Where, query: PageQuery) -> Page[Product]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS)
    return rows.map(lambda row: msgspec.convert(row, Product))


async def insert(conn: Conn, tenant_id: UUID, product: Product) -> None:
    """Store a new product."""
    await conn.execute(
        """insert into products (tenant_id, id, name, description, unit_price, unit, account_id, taxable, tax_rate_id,
               version, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        tenant_id,
        product.id,
        product.name,
        product.description,
        product.unit_price,
        product.unit,
        product.account_id,
        product.taxable,
        product.tax_rate_id,
        product.version,
        product.created_at,
        product.updated_at,
    )


async def update(conn: Conn, tenant_id: UUID, product: Product) -> None:
    """Store a changed product."""
    await conn.execute(
        """update products set name = $3, description = $4, unit_price = $5, unit = $6, account_id = $7, taxable = $8,
               tax_rate_id = $9, archived_at = $10, version = $11, updated_at = $12
           where tenant_id = $1 and id = $2""",
        tenant_id,
        product.id,
        product.name,
        product.description,
        product.unit_price,
        product.unit,
        product.account_id,
        product.taxable,
        product.tax_rate_id,
        product.archived_at,
        product.version,
        product.updated_at,
    )


async def delete(conn: Conn, tenant_id: UUID, product_id: UUID) -> None:
    """Remove a product for good."""
    await conn.execute("delete from products where tenant_id = $1 and id = $2", tenant_id, product_id)


async def is_used(conn: Conn, tenant_id: UUID, product_id: UUID) -> bool:
    """Whether it stands on any invoice."""
    used: bool = await conn.fetchval(
        "select exists (select from line_items where tenant_id = $1 and product_id = $2)", tenant_id, product_id
    )
    return used


async def has_account(conn: Conn, tenant_id: UUID, account_id: UUID) -> bool:
    """Whether the tenant has this account and still uses it."""
    found: bool = await conn.fetchval(
        "select exists (select from accounts where tenant_id = $1 and id = $2 and archived_at is null)",
        tenant_id,
        account_id,
    )
    return found


async def has_tax_rate(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> bool:
    """Whether the tenant has this tax rate and still uses it."""
    found: bool = await conn.fetchval(
        "select exists (select from tax_rates where tenant_id = $1 and id = $2 and archived_at is null)",
        tenant_id,
        tax_rate_id,
    )
    return found
