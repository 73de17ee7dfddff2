"""Rows of payments, allocations and refunds. Whoever writes holds the lock on the payment's row."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.payments.intake.events import Refund
from services.payments.intake.model import Allocation, Payment
from shared import outbox
from shared.db import Conn, will_announce
from shared.events import NewEvent
from shared.http import pages
from shared.http.idempotency import KEPT_HOURS, Attempt
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.money import major

COLUMNS = """id, version, amount_cents, applied_cents, reserved_cents, reversing, refunded_cents, currency,
    payment_date, payment_method, payer_name, payer_reference, external_payment_id, notes, customer_id,
    deposit_account_id, reviewed,
    source, created_by, created_at, updated_at"""
ALLOCATION_COLUMNS = """id, payment_id, invoice_id, invoice_number, customer_id, amount_cents, applied_cents,
    write_off_cents, exact, state, matched_by, rule, confidence::float8 as confidence, evidence, invoice_due_cents,
    refusal_code,
    refusal_detail, created_at, updated_at"""
FIND = f"select {COLUMNS} from payments where tenant_id = $1 and id = any($2) order by id"
LOCK = f"{FIND} for update"
TAKE = f"select id from take_payments({', '.join(f'${n}' for n in range(1, 11))}) as id"
SORTS = {
    "created_at": Sort("created_at", datetime),
    "payment_date": Sort("payment_date", date),
    "amount": Sort("amount_cents", int, "amount_cents"),
}

_drafts = msgspec.json.Encoder()


async def insert(conn: Conn, tenant_id: UUID, payments: Sequence[Payment], events: Sequence[outbox.Row]) -> set[UUID]:
    """Add payments of one maker, each with its event; returns the ids of those that are new.

    One whose external id is taken is left out, and so is its event.
    """
    first = payments[0]
    rows = await conn.fetch(
        """with made as (
               insert into payments (tenant_id, id, amount_cents, currency, payment_date, payment_method, payer_name,
                   payer_reference, external_payment_id, notes, deposit_account_id, source, created_by, created_at,
                   updated_at)
               select $1, new.id, amount_cents, currency, payment_date, payment_method, payer_name, payer_reference,
                   external_payment_id, notes, deposit_account_id, $2, $3, $4, $4
               from unnest($5::uuid[], $6::bigint[], $7::text[], $8::date[], $9::text[], $10::text[], $11::text[],
                   $12::text[], $13::text[], $14::uuid[])
                   as new (id, amount_cents, currency, payment_date, payment_method, payer_name, payer_reference,
                           external_payment_id, notes, deposit_account_id)
               order by external_payment_id
               on conflict (tenant_id, external_payment_id) do nothing
               returning id
           ), told as (
               insert into outbox (tenant_id, event_id, type, body)
               select $1, event_id, $15, body
               from unnest($5::uuid[], $16::uuid[], $17::text[]) as event (id, event_id, body) join made using (id)
           )
           select id from made""",
        tenant_id,
        first.source,
        first.created_by,
        first.created_at,
        *_columns(
            payments,
            "id",
            "amount_cents",
            "currency",
            "payment_date",
            "payment_method",
            "payer_name",
            "payer_reference",
            "external_payment_id",
            "notes",
            "deposit_account_id",
        ),
        events[0].type,
        [event.event_id for event in events],
        [event.body for event in events],
    )
    will_announce(conn)
    return {row["id"] for row in rows}


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to be taken in, with all that is written along with it."""

    tenant_id: UUID
    payment: Payment
    shown: msgspec.Raw
    """What the API shows of it."""
    event: NewEvent
    attempt: Attempt | None


async def take(conn: Conn, takings: Sequence[Taking]) -> list[bool]:
    """Add payments of any tenants with their events and kept answers; whether each is new.

    It is one statement, so that it may be a transaction by itself.
    """
    events = [outbox.row(taking.event) for taking in takings]
    attempts = [taking.attempt for taking in takings]
    rows = await conn.fetch(
        TAKE,
        [taking.tenant_id for taking in takings],
        _drafts.encode([taking.payment for taking in takings]).decode(),
        [event.event_id for event in events],
        [event.type for event in events],
        [event.body for event in events],
        [attempt and attempt.route for attempt in attempts],
        [attempt and attempt.key for attempt in attempts],
        [attempt and attempt.fingerprint for attempt in attempts],
        [b'{"data":%b}' % bytes(taking.shown) for taking in takings],
        KEPT_HOURS,
    )
    new = {row["id"] for row in rows}
    return [taking.payment.id in new for taking in takings]


async def by_external_id(conn: Conn, tenant_id: UUID, external_ids: Sequence[str]) -> dict[str, UUID]:
    """The payments that hold these external ids."""
    rows = await conn.fetch(
        "select external_payment_id, id from payments where tenant_id = $1 and external_payment_id = any($2)",
        tenant_id,
        external_ids,
    )
    return {row["external_payment_id"]: row["id"] for row in rows}


async def find(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> list[Payment]:
    """Payments with all their allocations, in the order of their ids."""
    return await _load(conn, tenant_id, ids, FIND)


async def lock(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> list[Payment]:
    """The same, locked in the order of their ids."""
    return await _load(conn, tenant_id, ids, LOCK)


async def _load(conn: Conn, tenant_id: UUID, ids: Sequence[UUID], select: str) -> list[Payment]:
    rows = await conn.fetch(select, tenant_id, ids)
    found = await conn.fetch(
        f"select {ALLOCATION_COLUMNS} from allocations"
        " where tenant_id = $1 and payment_id = any($2) order by created_at, id",
        tenant_id,
        [row["id"] for row in rows],
    )
    of: dict[UUID, list[Allocation]] = {}
    for row in found:
        of.setdefault(row["payment_id"], []).append(msgspec.convert(row, Allocation))
    return [payment_of(row, of.get(row["id"], ())) for row in rows]


def payment_of(row: asyncpg.Record, allocations: Sequence[Allocation] = ()) -> Payment:
    payment = msgspec.convert(row, Payment)
    return msgspec.structs.replace(payment, allocations=tuple(allocations)) if allocations else payment


async def listing(conn: Conn, where: Where, query: PageQuery) -> Page[asyncpg.Record]:
    """One piece of the list of payments, without allocations."""
    return await pages.fetch(conn, f"select {COLUMNS} from payments", where, query, sorts=SORTS)


async def refunds(conn: Conn, tenant_id: UUID, payment_id: UUID) -> list[Refund]:
    rows = await conn.fetch(
        "select id, amount_cents, refund_date, reason, created_at from refunds"
        " where tenant_id = $1 and payment_id = $2 order by created_at, id",
        tenant_id,
        payment_id,
    )
    return [
        Refund(
            id=row["id"],
            amount=major(row["amount_cents"]),
            date=row["refund_date"],
            reason=row["reason"],
            created_at=row["created_at"],
        )
        for row in rows
    ]


async def insert_refund(
    conn: Conn, tenant_id: UUID, payment_id: UUID, refund: Refund, amount_cents: int, actor: str
) -> None:
    """Note a refund, and that so much less of the payment is left."""
    await conn.execute(
        """with refund as (
               insert into refunds (tenant_id, id, payment_id, amount_cents, refund_date, reason, created_by,
               created_at)
               values ($1, $3, $2, $4, $5, $6, $7, $8))
           update payments set refunded_cents = refunded_cents + $4, version = version + 1, updated_at = $8
           where tenant_id = $1 and id = $2""",
        tenant_id,
        payment_id,
        refund.id,
        amount_cents,
        refund.date,
        refund.reason,
        actor,
        refund.created_at,
    )


async def update_fields(conn: Conn, tenant_id: UUID, payment: Payment) -> None:
    """Write the fields that a caller may edit."""
    await conn.execute(
        """update payments set payer_name = $3, payer_reference = $4, payment_method = $5, notes = $6, reviewed = $7,
               version = $8, updated_at = $9
           where tenant_id = $1 and id = $2""",
        tenant_id,
        payment.id,
        payment.payer_name,
        payment.payer_reference,
        payment.payment_method,
        payment.notes,
        payment.reviewed,
        payment.version,
        payment.updated_at,
    )


async def insert_allocations(conn: Conn, tenant_id: UUID, allocations: Sequence[Allocation]) -> None:
    """Write intents, and reserve the money on their payments."""
    await conn.executemany(
        """insert into allocations (tenant_id, id, payment_id, invoice_id, invoice_number, customer_id, amount_cents,
               write_off_cents, exact, state, matched_by, rule, confidence, evidence, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::float8::numeric, $14, $15, $15)""",
        [
            (
                tenant_id,
                a.id,
                a.payment_id,
                a.invoice_id,
                a.invoice_number,
                a.customer_id,
                a.amount_cents,
                a.write_off_cents,
                a.exact,
                a.state.value,
                a.matched_by,
                a.rule,
                a.confidence,
                list(a.evidence),
                a.created_at,
            )
            for a in allocations
        ],
    )
    await add_up(conn, tenant_id, {a.payment_id for a in allocations}, allocations[0].created_at)


async def update_allocations(conn: Conn, tenant_id: UUID, allocations: Sequence[Allocation]) -> None:
    """Write how allocations stand now, and what that means for their payments."""
    if not allocations:
        return
    await conn.executemany(
        """update allocations set state = $3, applied_cents = $4, write_off_cents = $5, invoice_due_cents = $6,
               refusal_code = $7, refusal_detail = $8, updated_at = $9
           where tenant_id = $1 and id = $2""",
        [
            (
                tenant_id,
                a.id,
                a.state.value,
                a.applied_cents,
                a.write_off_cents,
                a.invoice_due_cents,
                a.refusal_code,
                a.refusal_detail,
                a.updated_at,
            )
            for a in allocations
        ],
    )
    await add_up(conn, tenant_id, {a.payment_id for a in allocations}, max(a.updated_at for a in allocations))


async def add_up(conn: Conn, tenant_id: UUID, payment_ids: set[UUID], now: datetime) -> None:
    """Recompute the sums of payments from their allocations: the only place where they are written."""
    await conn.execute(
        """update payments p set applied_cents = sums.applied, reserved_cents = sums.reserved,
               reversing = sums.reversing, customer_id = case when sums.customers = 1 then sums.customer_id end,
               version = version + 1, updated_at = $3
           from (select ids.id,
                    coalesce(sum(a.applied_cents) filter (where a.state in ('applied', 'reversing')), 0) as applied,
                    coalesce(sum(a.amount_cents) filter (where a.state = 'pending'), 0) as reserved,
                    coalesce(bool_or(a.state = 'reversing'), false) as reversing,
                    count(distinct a.customer_id) filter (where a.state in ('applied', 'pending')) as customers,
                    (min(a.customer_id::text) filter (where a.state in ('applied', 'pending')))::uuid as customer_id
                from unnest($2::uuid[]) as ids (id)
                left join allocations a on a.tenant_id = $1 and a.payment_id = ids.id
                group by ids.id) sums
           where p.tenant_id = $1 and p.id = sums.id""",
        tenant_id,
        sorted(payment_ids),
        now,
    )


async def unanswered(conn: Conn, before: datetime, limit: int, *, now: datetime) -> dict[UUID, list[Allocation]]:
    """Allocations that the invoices service has not answered since before that time, by tenant.

    One that seems to be from the future was asked for under a clock that was ahead: nobody knows how old it is.
    """
    rows = await conn.fetch(
        f"select tenant_id, {ALLOCATION_COLUMNS} from allocations"
        " where state in ('pending', 'reversing') and not (updated_at between $1 and $2) order by updated_at limit $3",
        before,
        now,
        limit,
    )
    found: dict[UUID, list[Allocation]] = {}
    for row in rows:
        found.setdefault(row["tenant_id"], []).append(msgspec.convert(row, Allocation))
    return found


async def payment_ids_of(conn: Conn, tenant_id: UUID, allocation_ids: Sequence[UUID]) -> list[UUID]:
    rows = await conn.fetch(
        "select distinct payment_id from allocations where tenant_id = $1 and id = any($2) order by payment_id",
        tenant_id,
        allocation_ids,
    )
    return [row["payment_id"] for row in rows]


async def on_invoice(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> list[Allocation]:
    """What stands on an invoice."""
    rows = await conn.fetch(
        f"select {ALLOCATION_COLUMNS} from allocations"
        " where tenant_id = $1 and invoice_id = $2 and state in ('pending', 'applied', 'reversing')",
        tenant_id,
        invoice_id,
    )
    return [msgspec.convert(row, Allocation) for row in rows]


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Payments lose the link to a customer that is gone."""
    await conn.execute(
        """with links as (
               update allocations set customer_id = null where tenant_id = $1 and customer_id = $2)
           update payments set customer_id = null, version = version + 1
           where tenant_id = $1 and customer_id = $2""",
        tenant_id,
        customer_id,
    )


def _columns(payments: Sequence[Payment], *names: str) -> list[list[Any]]:
    return [[getattr(payment, name) for payment in payments] for name in names]
