"""Rows of disputes."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.disputes.events import Dispute
from services.invoices.disputes.model import Resolution
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.money import major

SELECT = """select d.id, d.invoice_id, i.invoice_number, d.customer_id, d.currency, d.status, d.reason,
    d.amount_cents as amount, d.notes, d.resolution, d.resolution_notes, d.credit_note_id, d.resolved_at,
    d.version, d.created_at, d.updated_at
    from disputes d left join invoices i on i.tenant_id = d.tenant_id and i.id = d.invoice_id"""

SORTS = {
    "created_at": Sort("d.created_at", datetime),
    "amount": Sort("d.amount_cents", int),
    "status": Sort("d.status", str),
}


class NewDispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute that is about to be stored."""

    id: UUID
    invoice_id: UUID
    customer_id: UUID
    currency: str
    reason: str
    amount_cents: int
    notes: str | None
    created_at: datetime


async def find(conn: Conn, tenant_id: UUID, dispute_id: UUID) -> Dispute | None:
    """One dispute."""
    row = await conn.fetchrow(f"{SELECT} where d.tenant_id = $1 and d.id = $2", tenant_id, dispute_id)
    return None if row is None else _dispute(row)


async def lock(conn: Conn, tenant_id: UUID, dispute_id: UUID) -> Dispute | None:
    """One dispute, kept from changing until the transaction ends; its invoice is locked before."""
    row = await conn.fetchrow(f"{SELECT} where d.tenant_id = $1 and d.id = $2 for update of d", tenant_id, dispute_id)
    return None if row is None else _dispute(row)


def _dispute(row: asyncpg.Record) -> Dispute:
    return msgspec.convert({**row, "amount": major(row["amount"])}, Dispute)


async def page(conn: Conn, where: Where, query: PageQuery) -> Page[Dispute]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS, id_expression="d.id")
    return rows.map(_dispute)


async def has_open(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> bool:
    """Whether an invoice has an open dispute."""
    found: bool = await conn.fetchval(
        "select exists (select from disputes where tenant_id = $1 and invoice_id = $2 and status = 'open')",
        tenant_id,
        invoice_id,
    )
    return found


async def insert(conn: Conn, tenant_id: UUID, dispute: NewDispute) -> None:
    """Store a new, open dispute."""
    await conn.execute(
        """insert into disputes (tenant_id, id, invoice_id, customer_id, currency, status, reason, amount_cents, notes,
               created_at, updated_at)
           values ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $9)""",
        tenant_id,
        dispute.id,
        dispute.invoice_id,
        dispute.customer_id,
        dispute.currency,
        dispute.reason,
        dispute.amount_cents,
        dispute.notes,
        dispute.created_at,
    )


async def resolve(
    conn: Conn,
    tenant_id: UUID,
    dispute_id: UUID,
    resolution: Resolution,
    *,
    notes: str | None,
    credit_note_id: UUID | None,
    now: datetime,
) -> None:
    """Store how a dispute, which is locked, ended."""
    await conn.execute(
        """update disputes set status = 'resolved', resolution = $3, resolution_notes = $4, credit_note_id = $5,
               resolved_at = $6, updated_at = $6, version = version + 1
           where tenant_id = $1 and id = $2""",
        tenant_id,
        dispute_id,
        resolution,
        notes,
        credit_note_id,
        now,
    )


async def delete_of_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove all disputes of a customer."""
    await conn.execute("delete from disputes where tenant_id = $1 and customer_id = $2", tenant_id, customer_id)
