"""Rows of the reconciliation queue."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.payments.reconciliation import model
from services.payments.reconciliation.events import AccountingChange, ChangeLine
from services.payments.reconciliation.model import Fact
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.ids import uuid7
from shared.money import major

COLUMNS = """id, version, source, change_type, invoice_id, invoice_number, customer_id, payment_id, credit_note_id,
    currency,
    amount_before_cents, amount_after_cents, lines, description, actor, occurred_at, approval_status, approved_by,
    approved_at,
    sync_status, sync_error, synced_at, created_at, updated_at"""
SORTS = {"created_at": Sort("created_at", datetime)}


async def insert(
    conn: Conn, facts: Mapping[UUID, Sequence[Fact]], limits: Mapping[UUID, int], now: datetime
) -> list[tuple[UUID, AccountingChange]]:
    """Queue facts, by tenant; returns the changes of those that were not queued before, with their tenants.

    `limits` are the cents above which write-offs and credit notes wait, for the tenants that want that.
    """
    new = [(tenant_id, fact) for tenant_id, some in facts.items() for fact in some]
    rows = await conn.fetch(
        f"""insert into reconciliation_changes (tenant_id, id, source, change_type, invoice_id, invoice_number,
                customer_id, payment_id, credit_note_id, currency, amount_before_cents, amount_after_cents, lines,
                description, actor, occurred_at, approval_status, approved_at, created_at, updated_at)
            select new.tenant_id, new.id, new.source, new.change_type, new.invoice_id, new.invoice_number,
                new.customer_id, new.payment_id, new.credit_note_id, new.currency, new.amount_before_cents,
                new.amount_after_cents, new.lines::jsonb, new.description, new.actor, new.occurred_at,
                case when new.waits then 'waiting' else 'approved' end,
                case when new.waits then null else $1::timestamptz end, $1::timestamptz, $1::timestamptz
            from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[],
                $10::uuid[], $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::text[],
                $17::timestamptz[], $18::boolean[])
                as new (tenant_id, id, source, change_type, invoice_id, invoice_number, customer_id, payment_id,
                    credit_note_id, currency, amount_before_cents, amount_after_cents, lines, description, actor,
                    occurred_at, waits)
            order by new.tenant_id, new.source
            on conflict (tenant_id, source) do nothing
            returning tenant_id, {COLUMNS}""",
        now,
        [tenant_id for tenant_id, _ in new],
        [uuid7() for _ in new],
        [fact.source for _, fact in new],
        [fact.change_type for _, fact in new],
        [fact.invoice_id for _, fact in new],
        [fact.invoice_number for _, fact in new],
        [fact.customer_id for _, fact in new],
        [fact.payment_id for _, fact in new],
        [fact.credit_note_id for _, fact in new],
        [fact.currency for _, fact in new],
        [fact.amount_before_cents for _, fact in new],
        [fact.amount_after_cents for _, fact in new],
        [msgspec.json.encode(fact.lines).decode() for _, fact in new],
        [fact.description for _, fact in new],
        [fact.actor for _, fact in new],
        [fact.occurred_at for _, fact in new],
        [model.waits(fact, limits.get(tenant_id)) for tenant_id, fact in new],
    )
    return [(row["tenant_id"], change_of(row)) for row in rows]


async def listing(conn: Conn, where: Where, query: PageQuery) -> Page[AccountingChange]:
    page = await pages.fetch(conn, f"select {COLUMNS} from reconciliation_changes", where, query, sorts=SORTS)
    return page.map(change_of)


async def find(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> list[AccountingChange]:
    """Changes by id, in the order of their ids."""
    rows = await conn.fetch(
        f"select {COLUMNS} from reconciliation_changes where tenant_id = $1 and id = any($2) order by id",
        tenant_id,
        ids,
    )
    return [change_of(row) for row in rows]


async def lock(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> list[AccountingChange]:
    """The same, locked."""
    rows = await conn.fetch(
        f"select {COLUMNS} from reconciliation_changes where tenant_id = $1 and id = any($2) order by id for update",
        tenant_id,
        ids,
    )
    return [change_of(row) for row in rows]


async def mark(
    conn: Conn, tenant_id: UUID, ids: Sequence[UUID], *, sync_status: str, error: str | None, now: datetime
) -> list[AccountingChange]:
    """Note how syncing went."""
    rows = await conn.fetch(
        f"""update reconciliation_changes set sync_status = $3, sync_error = $4, version = version + 1, updated_at = $5,
                synced_at = case when $3 = 'synced' then $5::timestamptz end
            where tenant_id = $1 and id = any($2) returning {COLUMNS}""",
        tenant_id,
        ids,
        sync_status,
        error,
        now,
    )
    return [change_of(row) for row in rows]


async def approve(conn: Conn, tenant_id: UUID, change_id: UUID, *, actor: str, now: datetime) -> AccountingChange:
    """Let a waiting change go on."""
    row = await conn.fetchrow(
        f"""update reconciliation_changes set approval_status = 'approved', approved_by = $3, approved_at = $4,
                version = version + 1, updated_at = $4
            where tenant_id = $1 and id = $2 returning {COLUMNS}""",
        tenant_id,
        change_id,
        actor,
        now,
    )
    assert row is not None, "the change was locked before"
    return change_of(row)


async def approval_limit(conn: Conn, tenant_id: UUID) -> int | None:
    """Above how many cents write-offs and credit notes wait; None: they never do."""
    return (await approval_limits(conn, [tenant_id])).get(tenant_id)


async def approval_limits(conn: Conn, tenant_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The same for those of several tenants that have one."""
    rows = await conn.fetch(
        """select tenant_id, approval_limit_cents from reconciliation_settings
           where tenant_id = any($1) and approval_limit_cents is not null""",
        list(tenant_ids),
    )
    return {row["tenant_id"]: row["approval_limit_cents"] for row in rows}


async def put_approval_limit(conn: Conn, tenant_id: UUID, limit_cents: int | None) -> None:
    await conn.execute(
        "insert into reconciliation_settings (tenant_id, approval_limit_cents) values ($1, $2)"
        " on conflict (tenant_id) do update set approval_limit_cents = $2",
        tenant_id,
        limit_cents,
    )


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Changes keep their amounts and lose the link to a customer that is gone."""
    await conn.execute(
        "update reconciliation_changes set customer_id = null where tenant_id = $1 and customer_id = $2",
        tenant_id,
        customer_id,
    )


def change_of(row: asyncpg.Record) -> AccountingChange:
    """The change in its public shape."""
    lines = msgspec.json.decode(row["lines"], type=list[model.Line])
    return AccountingChange(
        id=row["id"],
        change_type=row["change_type"],
        source=row["source"],
        description=row["description"],
        invoice_id=row["invoice_id"],
        invoice_number=row["invoice_number"],
        customer_id=row["customer_id"],
        payment_id=row["payment_id"],
        credit_note_id=row["credit_note_id"],
        currency=row["currency"],
        amount_before=major(row["amount_before_cents"]),
        amount_after=major(row["amount_after_cents"]),
        lines=[
            ChangeLine(
                account_code=line.account_code,
                account_id=line.account_id,
                debit=major(line.debit_cents),
                credit=major(line.credit_cents),
            )
            for line in lines
        ],
        actor=row["actor"],
        occurred_at=row["occurred_at"],
        approval_status=row["approval_status"],
        approved_by=row["approved_by"],
        approved_at=row["approved_at"],
        sync_status=row["sync_status"],
        error_message=row["sync_error"],
        synced_at=row["synced_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
    )
