"""The applications table: what became of each allocation, remembered for ever."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.settlement.applications import Outcome, Wish
from shared.db import Conn

FIND = """
    select allocation_id, invoice_id, status, applied_cents, write_off_cents, amount_due_cents, code, detail
    from applications where tenant_id = $1 and allocation_id = any($2)
"""
REMEMBER = """
    insert into applications (tenant_id, allocation_id, status, payment_id, invoice_id, applied_cents, write_off_cents,
        amount_due_cents, currency, payment_date, payment_method, payer_name, payer_reference, code, detail, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an allocation."""

    outcome: Outcome
    status: str
    invoice_id: UUID | None


async def find(conn: Conn, tenant_id: UUID, allocation_ids: Sequence[UUID]) -> dict[UUID, Remembered]:
    """What is known of allocations."""
    rows = await conn.fetch(FIND, tenant_id, list(allocation_ids))
    return {row["allocation_id"]: _remembered(row) for row in rows}


async def lock_ids(conn: Conn, tenant_id: UUID, allocation_ids: Sequence[UUID]) -> None:
    """Let nobody else decide about the same allocations until the transaction ends, applied or not."""
    await conn.execute(
        """select pg_advisory_xact_lock(hashtextextended('application:' || $1::uuid || a, 0))
           from (select a from unnest($2::uuid[]) a order by a) ordered""",
        tenant_id,
        list(allocation_ids),
    )


async def remember(conn: Conn, wish: Wish, outcome: Outcome, *, now: datetime) -> None:
    """Keep what was decided about an allocation."""
    await conn.execute(
        REMEMBER,
        wish.tenant_id,
        wish.allocation_id,
        outcome.status,
        wish.payment_id,
        wish.invoice_id,
        outcome.applied_cents,
        outcome.write_off_cents,
        outcome.amount_due_cents,
        wish.currency,
        wish.payment_date,
        wish.payment_method,
        wish.payer_name,
        wish.payer_reference,
        outcome.code,
        outcome.detail,
        now,
    )


async def bar(conn: Conn, tenant_id: UUID, allocation_id: UUID, *, now: datetime) -> None:
    """Remember that an allocation that never arrived must not be applied when it does."""
    await conn.execute(
        """insert into applications (tenant_id, allocation_id, status, applied_cents, write_off_cents,
               amount_due_cents, created_at, reversed_at)
           values ($1, $2, 'barred', 0, 0, 0, $3, $3)""",
        tenant_id,
        allocation_id,
        now,
    )


async def mark_reversed(conn: Conn, tenant_id: UUID, allocation_ids: Sequence[UUID], *, now: datetime) -> None:
    """Note that the money of applied allocations is off their invoices again."""
    await conn.execute(
        """update applications set status = 'reversed', reversed_at = $3
           where tenant_id = $1 and allocation_id = any($2) and status = 'applied'""",
        tenant_id,
        list(allocation_ids),
        now,
    )


def _remembered(row: asyncpg.Record) -> Remembered:
    barred = row["status"] == "barred"
    outcome = Outcome(
        allocation_id=row["allocation_id"],
        status="reversed" if barred else row["status"],
        applied_cents=row["applied_cents"],
        write_off_cents=row["write_off_cents"],
        amount_due_cents=row["amount_due_cents"],
        code=row["code"],
        detail=row["detail"],
    )
    return Remembered(outcome=outcome, status=row["status"], invoice_id=row["invoice_id"])
