"""Rows of what documents and the payment page keep of their own, and the reads that they need."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from shared.db import Conn


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator knows of a tenant."""

    tenant_id: UUID
    name: str
    live: bool
    timezone: str
    currency: str


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A customer on the way through a payment provider."""

    tenant_id: UUID
    id: UUID
    invoice_id: UUID
    provider: str
    session_id: str | None
    amount_cents: int
    currency: str
    status: Literal["open", "paid", "booked", "failed", "refused"]
    payer_name: str | None
    payment_id: UUID | None
    created_at: datetime
    paid_at: datetime | None
    attempts: int
    """How often the payments service has refused to book it."""


COLUMNS = ", ".join(Checkout.__struct_fields__)


async def tenant(conn: Conn, tenant_id: UUID) -> Tenant | None:
    """What the operator knows of a tenant."""
    row = await conn.fetchrow(
        "select tenant_id, name, live, timezone, currency from identity.tenants where tenant_id = $1", tenant_id
    )
    return None if row is None else msgspec.convert(row, Tenant)


async def request_pdf(conn: Conn, tenant_id: UUID, invoice_id: UUID, *, now: datetime) -> None:
    """Remember that a document is to be rendered."""
    await conn.execute(
        """insert into pdf_requests (tenant_id, invoice_id, requested_at, next_attempt_at)
           values ($1, $2, $3, clock_timestamp()) on conflict do nothing""",
        tenant_id,
        invoice_id,
        now,
    )


async def take_pdf_requests(conn: Conn, *, again_after: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    """Documents to render now; one that nobody finishes is taken up again later. Times are the database's."""
    rows = await conn.fetch(
        """update pdf_requests set attempts = attempts + 1, next_attempt_at = clock_timestamp() + $1
           where (tenant_id, invoice_id) in (
               select tenant_id, invoice_id from pdf_requests where next_attempt_at <= clock_timestamp()
               order by next_attempt_at limit $2 for update skip locked)
           returning tenant_id, invoice_id""",
        again_after,
        limit,
    )
    return [(row["tenant_id"], row["invoice_id"]) for row in rows]


async def pdf_done(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> None:
    """The document is there, or is not to be."""
    await conn.execute("delete from pdf_requests where tenant_id = $1 and invoice_id = $2", tenant_id, invoice_id)


async def insert_checkout(conn: Conn, checkout: Checkout) -> None:
    """Keep a checkout before the provider hears of it."""
    await conn.execute(
        f"insert into checkouts ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        *(getattr(checkout, name) for name in Checkout.__struct_fields__),
    )


async def session_opened(conn: Conn, checkout: Checkout, session_id: str) -> None:
    """The provider's id of the session."""
    await conn.execute(
        "update checkouts set session_id = $3 where tenant_id = $1 and id = $2",
        checkout.tenant_id,
        checkout.id,
        session_id,
    )


async def find_checkout(conn: Conn, tenant_id: UUID, checkout_id: UUID) -> Checkout | None:
    """One checkout."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from checkouts where tenant_id = $1 and id = $2", tenant_id, checkout_id
    )
    return None if row is None else msgspec.convert(row, Checkout)


async def find_session(conn: Conn, provider: str, session_id: str) -> Checkout | None:
    """The checkout of a provider's session."""
    row = await conn.fetchrow(
        f"select {COLUMNS} from checkouts where provider = $1 and session_id = $2", provider, session_id
    )
    return None if row is None else msgspec.convert(row, Checkout)


async def checkout_ended(conn: Conn, checkout: Checkout, status: str, *, payer_name: str | None, now: datetime) -> bool:
    """Record that it was paid or has failed, once; what was paid stays paid."""
    ended = await conn.fetchval(
        """update checkouts set status = $3, payer_name = $4, paid_at = case when $3 = 'paid' then $5::timestamptz end
           where tenant_id = $1 and id = $2 and (status = 'open' or (status = 'failed' and $3 = 'paid'))
           returning true""",
        checkout.tenant_id,
        checkout.id,
        status,
        payer_name,
        now,
    )
    return bool(ended)


async def paid_checkouts(conn: Conn, *, limit: int) -> list[Checkout]:
    """Checkouts whose money is to be booked now, oldest first."""
    rows = await conn.fetch(
        f"""select {COLUMNS} from checkouts where status = 'paid' and next_attempt_at <= clock_timestamp()
            order by paid_at limit $1""",
        limit,
    )
    return [msgspec.convert(row, Checkout) for row in rows]


async def booked(conn: Conn, checkout: Checkout, payment_id: UUID) -> None:
    """The money of a checkout is a payment now."""
    await conn.execute(
        "update checkouts set status = 'booked', payment_id = $3 where tenant_id = $1 and id = $2",
        checkout.tenant_id,
        checkout.id,
        payment_id,
    )


async def booking_refused(conn: Conn, checkout: Checkout, reason: str, *, again_after: timedelta | None) -> None:
    """The money of a checkout could not be booked: when to try again, or that a person has to look."""
    await conn.execute(
        """update checkouts set attempts = attempts + 1, refusal = $3,
               status = case when $4::interval is null then 'refused' else status end,
               next_attempt_at = clock_timestamp() + coalesce($4, interval '0')
           where tenant_id = $1 and id = $2 and status = 'paid'""",
        checkout.tenant_id,
        checkout.id,
        reason,
        again_after,
    )


async def underway_cents(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> int:
    """What was paid online for an invoice and is not booked yet."""
    cents: int = await conn.fetchval(
        """select coalesce(sum(amount_cents), 0)::bigint from checkouts
           where tenant_id = $1 and invoice_id = $2 and status in ('paid', 'refused')""",
        tenant_id,
        invoice_id,
    )
    return cents
