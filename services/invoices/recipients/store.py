"""The copies of customers; the newest sequence wins, whatever order they arrive in."""

from datetime import datetime
from uuid import UUID

from services.invoices.recipients.model import Recipient
from shared.db import Conn


async def keep(conn: Conn, recipient: Recipient) -> None:
    """Store a copy unless a newer one is there, or the customer is deleted."""
    await conn.execute(
        """insert into recipients as r
               (tenant_id, customer_id, display_name, email, address, payment_terms_days, sequence)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (tenant_id, customer_id) do update set display_name = excluded.display_name,
               email = excluded.email, address = excluded.address,
               payment_terms_days = excluded.payment_terms_days, sequence = excluded.sequence
           where r.sequence < excluded.sequence and r.deleted_at is null""",
        recipient.tenant_id,
        recipient.customer_id,
        recipient.display_name,
        recipient.email,
        recipient.address,
        recipient.payment_terms_days,
        recipient.sequence,
    )


async def forget(conn: Conn, tenant_id: UUID, customer_id: UUID, *, sequence: int, now: datetime) -> None:
    """Keep no more of a customer than that it is gone, so that a late event does not bring it back."""
    await conn.execute(
        """insert into recipients (tenant_id, customer_id, display_name, sequence, deleted_at)
           values ($1, $2, '', $3, $4)
           on conflict (tenant_id, customer_id) do update set display_name = '', email = null, address = null,
               payment_terms_days = null, sequence = excluded.sequence, deleted_at = excluded.deleted_at""",
        tenant_id,
        customer_id,
        sequence,
        now,
    )


async def known(conn: Conn, tenant_id: UUID, customer_id: UUID) -> bool:
    """Whether there is a copy, or the mark that the customer is deleted."""
    return bool(
        await conn.fetchval(
            "select true from recipients where tenant_id = $1 and customer_id = $2", tenant_id, customer_id
        )
    )
