"""The row of a tenant's settings; a tenant that never set any has none."""

from uuid import UUID

import msgspec

from services.invoices.settings.model import Branding, Stored
from shared.db import Conn

SELECT = """select tenant_id, version, invoice_prefix, number_on, payment_terms_days, timezone, currency,
    multi_currency, branding, updated_at from settings where tenant_id = $1"""


async def find(conn: Conn, tenant_id: UUID) -> Stored:
    """What the tenant has set."""
    row = await conn.fetchrow(SELECT, tenant_id)
    if row is None:
        return Stored(tenant_id=tenant_id)
    return msgspec.convert({**row, "branding": msgspec.json.decode(row["branding"], type=Branding)}, Stored)


async def lock(conn: Conn, tenant_id: UUID) -> Stored:
    """What the tenant has set, kept from changing until the transaction ends."""
    await conn.execute("insert into settings (tenant_id, version) values ($1, 0) on conflict do nothing", tenant_id)
    await conn.execute("select from settings where tenant_id = $1 for update", tenant_id)
    return await find(conn, tenant_id)


async def save(conn: Conn, stored: Stored) -> None:
    """Store all settings of a tenant, whose row is locked."""
    await conn.execute(
        """update settings set version = $2, invoice_prefix = $3, number_on = $4, payment_terms_days = $5,
               timezone = $6, currency = $7, multi_currency = $8, branding = $9, updated_at = $10
           where tenant_id = $1""",
        stored.tenant_id,
        stored.version,
        stored.invoice_prefix,
        stored.number_on,
        stored.payment_terms_days,
        stored.timezone,
        stored.currency,
        stored.multi_currency,
        msgspec.json.encode(stored.branding).decode(),
        stored.updated_at,
    )
