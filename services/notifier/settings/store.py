"""The row of a tenant's settings; a tenant that never set any has none."""

from uuid import UUID

import msgspec

from services.notifier.settings.model import NotificationSettings
from shared.db import Conn

SELECT = "select * from settings where tenant_id = $1"


async def find(conn: Conn, tenant_id: UUID) -> NotificationSettings:
    """What the tenant has set, or the defaults."""
    row = await conn.fetchrow(SELECT, tenant_id)
    return NotificationSettings() if row is None else msgspec.convert(row, NotificationSettings)


async def lock(conn: Conn, tenant_id: UUID) -> NotificationSettings:
    """What the tenant has set, kept from changing until the transaction ends."""
    row = await conn.fetchrow(f"{SELECT} for update", tenant_id)
    return NotificationSettings() if row is None else msgspec.convert(row, NotificationSettings)


async def save(conn: Conn, tenant_id: UUID, settings: NotificationSettings) -> None:
    """Store all of them."""
    await conn.execute(
        """insert into settings (tenant_id, version, sender_name, reply_to, daily_limit, business_start, business_end,
               business_days, hold_for_business_hours, send_receipts, instalment_notice_days, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
           on conflict (tenant_id) do update set version = excluded.version, sender_name = excluded.sender_name,
               reply_to = excluded.reply_to, daily_limit = excluded.daily_limit,
               business_start = excluded.business_start, business_end = excluded.business_end,
               business_days = excluded.business_days, hold_for_business_hours = excluded.hold_for_business_hours,
               send_receipts = excluded.send_receipts, instalment_notice_days = excluded.instalment_notice_days,
               updated_at = excluded.updated_at""",
        tenant_id,
        settings.version,
        settings.sender_name,
        settings.reply_to,
        settings.daily_limit,
        settings.business_start,
        settings.business_end,
        list(settings.business_days),
        settings.hold_for_business_hours,
        settings.send_receipts,
        settings.instalment_notice_days,
        settings.updated_at,
    )
