"""What can be done with products, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.chart.errors import AccountUnknown
from services.invoices.products import store
from services.invoices.products.errors import ProductArchived, ProductUnknown
from services.invoices.products.model import Product
from services.invoices.tax_rates.errors import TaxRateUnknown
from shared.db import Conn


async def get(conn: Conn, tenant_id: UUID, product_id: UUID) -> Product:
    """One product."""
    product = await store.find(conn, tenant_id, product_id)
    if product is None:
        raise ProductUnknown(product_id=product_id)
    return product


async def create(conn: Conn, tenant_id: UUID, product: Product) -> Product:
    """Store a new product."""
    await _refuse_unknown(conn, tenant_id, product)
    await store.insert(conn, tenant_id, product)
    return product


async def change(
    conn: Conn,
    tenant_id: UUID,
    product_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> Product:
    """Change the named fields."""
    before = await _lock(conn, tenant_id, product_id)
    check_version(before.version)
    if before.archived_at is not None:
        raise ProductArchived
    product = msgspec.structs.replace(before, **fields)
    if product == before:
        return before
    await _refuse_unknown(conn, tenant_id, product)
    product = msgspec.structs.replace(product, version=before.version + 1, updated_at=now)
    await store.update(conn, tenant_id, product)
    return product


async def remove(
    conn: Conn, tenant_id: UUID, product_id: UUID, *, check_version: Callable[[int], None], now: datetime
) -> None:
    """Remove it, or archive it where it stands on an invoice."""
    product = await _lock(conn, tenant_id, product_id)
    check_version(product.version)
    if not await store.is_used(conn, tenant_id, product_id):
        await store.delete(conn, tenant_id, product_id)
    elif product.archived_at is None:
        archived = msgspec.structs.replace(product, archived_at=now, updated_at=now, version=product.version + 1)
        await store.update(conn, tenant_id, archived)


async def _lock(conn: Conn, tenant_id: UUID, product_id: UUID) -> Product:
    product = await store.lock(conn, tenant_id, product_id)
    if product is None:
        raise ProductUnknown(product_id=product_id)
    return product


async def _refuse_unknown(conn: Conn, tenant_id: UUID, product: Product) -> None:
    if product.account_id and not await store.has_account(conn, tenant_id, product.account_id):
        raise AccountUnknown(account_id=product.account_id, field="account_id")
    if product.tax_rate_id and not await store.has_tax_rate(conn, tenant_id, product.tax_rate_id):
        raise TaxRateUnknown(tax_rate_id=product.tax_rate_id, field="tax_rate_id")
