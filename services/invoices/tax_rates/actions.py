"""What can be done with tax rates, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.tax_rates import store
from services.invoices.tax_rates.errors import TaxRateArchived, TaxRateUnknown
from services.invoices.tax_rates.model import TaxRate
from shared.db import Conn


async def get(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> TaxRate:
    """One tax rate."""
    tax_rate = await store.find(conn, tenant_id, tax_rate_id)
    if tax_rate is None:
        raise TaxRateUnknown(tax_rate_id=tax_rate_id)
    return tax_rate


async def change(
    conn: Conn,
    tenant_id: UUID,
    tax_rate_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> TaxRate:
    """Change the named fields."""
    before = await _lock(conn, tenant_id, tax_rate_id)
    check_version(before.version)
    if before.archived_at is not None:
        raise TaxRateArchived
    tax_rate = msgspec.structs.replace(before, **fields)
    if tax_rate == before:
        return before
    tax_rate = msgspec.structs.replace(tax_rate, version=before.version + 1, updated_at=now)
    await store.update(conn, tenant_id, tax_rate)
    return tax_rate


async def remove(
    conn: Conn, tenant_id: UUID, tax_rate_id: UUID, *, check_version: Callable[[int], None], now: datetime
) -> None:
    """Remove it, or archive it once something names it."""
    tax_rate = await _lock(conn, tenant_id, tax_rate_id)
    check_version(tax_rate.version)
    if not await store.is_used(conn, tenant_id, tax_rate_id):
        await store.delete(conn, tenant_id, tax_rate_id)
    elif tax_rate.archived_at is None:
        archived = msgspec.structs.replace(tax_rate, archived_at=now, updated_at=now, version=tax_rate.version + 1)
        await store.update(conn, tenant_id, archived)


async def _lock(conn: Conn, tenant_id: UUID, tax_rate_id: UUID) -> TaxRate:
    tax_rate = await store.lock(conn, tenant_id, tax_rate_id)
    if tax_rate is None:
        raise TaxRateUnknown(tax_rate_id=tax_rate_id)
    return tax_rate
