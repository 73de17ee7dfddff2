"""Rows of schedules, pauses, steps taken and late fees."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.notifier.dunning.model import Account, Contact, Due, Open
from services.notifier.dunning.shapes import DunningPause, DunningSchedule, ShownStep
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

COLUMNS = "id, name, is_active, is_default, tags, customer_ids, steps, version, created_at, updated_at"
SELECT = f"select {COLUMNS} from dunning_schedules"
SORTS = {"created_at": Sort("created_at", datetime), "name": Sort("name", str)}
PAUSES = "select id, customer_id, invoice_id, until, reason, created_at from dunning_pauses"
PAUSE_SORTS = {"created_at": Sort("created_at", datetime)}

_encoder = msgspec.json.Encoder(decimal_format="number")
_steps = msgspec.json.Decoder(list[ShownStep])


def _schedule(row: asyncpg.Record) -> DunningSchedule:
    fields: dict[str, Any] = {**row, "steps": _steps.decode(row["steps"])}
    return msgspec.convert(fields, DunningSchedule)


async def page(conn: Conn, tenant_id: UUID, query: PageQuery) -> Page[DunningSchedule]:
    """One piece of the list of schedules."""
    rows = await pages.fetch(conn, SELECT, Where("tenant_id", tenant_id), query, sorts=SORTS)
    return rows.map(_schedule)


async def find(conn: Conn, tenant_id: UUID, schedule_id: UUID, *, lock: bool = False) -> DunningSchedule | None:
    """One schedule; kept from changing until the transaction ends if `lock`."""
    row = await conn.fetchrow(
        f"{SELECT} where tenant_id = $1 and id = $2 {'for update' if lock else ''}", tenant_id, schedule_id
    )
    return None if row is None else _schedule(row)


async def active(conn: Conn, tenant_id: UUID) -> list[DunningSchedule]:
    """The schedules that the clock follows."""
    return [_schedule(row) for row in await conn.fetch(f"{SELECT} where tenant_id = $1 and is_active", tenant_id)]


async def save(conn: Conn, tenant_id: UUID, schedule: DunningSchedule) -> None:
    """Store a new or changed schedule."""
    await conn.execute(
        f"""insert into dunning_schedules (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (tenant_id, id) do update set name = excluded.name, is_active = excluded.is_active,
                is_default = excluded.is_default, tags = excluded.tags, customer_ids = excluded.customer_ids,
                steps = excluded.steps, version = excluded.version, updated_at = excluded.updated_at""",
        tenant_id,
        schedule.id,
        schedule.name,
        schedule.is_active,
        schedule.is_default,
        list(schedule.tags),
        list(schedule.customer_ids),
        _encoder.encode(schedule.steps).decode(),
        schedule.version,
        schedule.created_at,
        schedule.updated_at,
    )


async def delete(conn: Conn, tenant_id: UUID, schedule_id: UUID) -> None:
    """Remove a schedule."""
    await conn.execute("delete from dunning_schedules where tenant_id = $1 and id = $2", tenant_id, schedule_id)


async def pause_page(conn: Conn, where: Where, query: PageQuery) -> Page[DunningPause]:
    """One piece of the list of pauses."""
    rows = await pages.fetch(conn, PAUSES, where, query, sorts=PAUSE_SORTS)
    return rows.map(lambda row: msgspec.convert(row, DunningPause))


async def save_pause(conn: Conn, tenant_id: UUID, pause: DunningPause) -> None:
    """Store a pause."""
    await conn.execute(
        """insert into dunning_pauses (tenant_id, id, customer_id, invoice_id, until, reason, created_at)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        tenant_id,
        pause.id,
        pause.customer_id,
        pause.invoice_id,
        pause.until,
        pause.reason,
        pause.created_at,
    )


async def delete_pause(conn: Conn, tenant_id: UUID, pause_id: UUID) -> bool:
    """End a pause; False where there is none."""
    gone = await conn.fetchval(
        "delete from dunning_pauses where tenant_id = $1 and id = $2 returning true", tenant_id, pause_id
    )
    return bool(gone)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A customer that the clock looks at."""

    tenant_id: UUID
    customer_id: UUID


async def candidates(conn: Conn, *, now: datetime, limit: int) -> list[Candidate]:
    """Customers with open invoices that are to be looked at, of tenants that have a schedule."""
    rows = await conn.fetch(
        """select distinct due.tenant_id, due.customer_id
           from (select distinct tenant_id from dunning_schedules where is_active) scheduled
           cross join lateral (
               select i.tenant_id, i.customer_id from invoices i
               where i.tenant_id = scheduled.tenant_id and i.look_at <= $1
                 and i.status in ('pending', 'partial', 'overdue')
               limit $2) due
           limit $2""",
        now,
        limit,
    )
    return [msgspec.convert(row, Candidate) for row in rows]


async def account(conn: Conn, who: Candidate, *, today: date) -> Account:
    """The customer as dunning sees it."""
    row = await conn.fetchrow(
        """select coalesce((select tags from customers where tenant_id = $1 and customer_id = $2), '{}') as tags,
               exists (select from dunning_pauses where tenant_id = $1 and customer_id = $2
                       and (until is null or until >= $3)) as paused""",
        who.tenant_id,
        who.customer_id,
        today,
    )
    assert row is not None
    return Account(customer_id=who.customer_id, tags=frozenset(row["tags"]), paused=row["paused"])


async def open_invoices(conn: Conn, who: Candidate, *, today: date) -> list[Open]:
    """The customer's open invoices with the steps taken, locked in the order of their ids."""
    rows = await conn.fetch(
        """select i.invoice_id, i.status, i.due_date, i.amount_due_cents as due_cents,
               i.archived or exists (select from dunning_pauses p where p.tenant_id = $1 and p.invoice_id = i.invoice_id
                                     and (p.until is null or p.until >= $3)) as paused,
               array(select s.days from dunning_steps s where s.tenant_id = $1 and s.invoice_id = i.invoice_id
                     and s.due_date = i.due_date) as done
           from invoices i
           where i.tenant_id = $1 and i.customer_id = $2 and i.status in ('pending', 'partial', 'overdue')
           order by i.invoice_id for update of i""",
        who.tenant_id,
        who.customer_id,
        today,
    )
    return [msgspec.convert(dict(row), Open) for row in rows]


async def contacts(conn: Conn, who: Candidate) -> list[Contact]:
    """Everybody at the customer."""
    rows = await conn.fetch(
        """select contact_id as id, name, email, is_primary, escalation_level from contacts
           where tenant_id = $1 and customer_id = $2""",
        who.tenant_id,
        who.customer_id,
    )
    return [msgspec.convert(row, Contact) for row in rows]


async def steps_done(
    conn: Conn, tenant_id: UUID, dues: Sequence[Due], outcome: str, communication_id: UUID | None, *, now: datetime
) -> None:
    """Remember the steps taken, and those that they made needless."""
    rows = [
        (tenant_id, due.invoice.invoice_id, due.invoice.due_date, days, what, mail, now)
        for due in dues
        for days, what, mail in (
            (due.step.days, outcome, communication_id),
            *((days, "passed_over", None) for days in due.passed_over),
        )
    ]
    await conn.executemany("insert into dunning_steps values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing", rows)


class PendingFee(msgspec.Struct, frozen=True, kw_only=True):
    """A late fee that is to be charged."""

    tenant_id: UUID
    invoice_id: UUID
    due_date: date
    days: int
    customer_id: UUID
    invoice_number: str | None
    currency: str
    amount_cents: int


async def store_fee(conn: Conn, who: Candidate, due: Due, amount_cents: int, *, now: datetime) -> None:
    """Ask for a late fee, once for each step."""
    await conn.execute(
        """insert into late_fees (tenant_id, invoice_id, due_date, days, customer_id, invoice_number, currency,
               amount_cents, status, created_at)
           select $1, $2, $3, $4, $5, invoice_number, currency, $6, 'pending', $7 from invoices
           where tenant_id = $1 and invoice_id = $2 on conflict do nothing""",
        who.tenant_id,
        due.invoice.invoice_id,
        due.invoice.due_date,
        due.step.days,
        who.customer_id,
        amount_cents,
        now,
    )


async def pending_fees(conn: Conn, *, limit: int) -> list[PendingFee]:
    """Late fees that are to be charged, oldest first."""
    rows = await conn.fetch(
        """select tenant_id, invoice_id, due_date, days, customer_id, invoice_number, currency, amount_cents
           from late_fees where status = 'pending' order by created_at limit $1""",
        limit,
    )
    return [msgspec.convert(row, PendingFee) for row in rows]


async def fee_settled(
    conn: Conn, fee: PendingFee, status: str, fee_invoice_id: UUID | None, reason: str | None
) -> None:
    """Record what became of a late fee."""
    await conn.execute(
        """update late_fees set status = $5, fee_invoice_id = $6, reason = $7
           where tenant_id = $1 and invoice_id = $2 and due_date = $3 and days = $4""",
        fee.tenant_id,
        fee.invoice_id,
        fee.due_date,
        fee.days,
        status,
        fee_invoice_id,
        reason,
    )


class DueInstalment(msgspec.Struct, frozen=True, kw_only=True):
    """An instalment that a customer is to be told of."""

    tenant_id: UUID
    plan_id: UUID
    number: int
    customer_id: UUID
    invoice_id: UUID
    due_date: date
    amount_cents: int
    currency: str


async def due_instalments(conn: Conn, *, today: date, limit: int) -> list[DueInstalment]:
    """Instalments whose notice is due; one whose day is past is not told of any more."""
    rows = await conn.fetch(
        """select p.tenant_id, plan_id, number, customer_id, invoice_id, due_date, amount_cents, currency
           from plan_instalments p left join settings s on s.tenant_id = p.tenant_id
           where notified_at is null and due_date between $1 and $2
             and (s.tenant_id is null and due_date <= $3 or due_date <= $1 + s.instalment_notice_days)
           order by due_date limit $4 for update of p skip locked""",
        today,
        today + timedelta(days=60),
        today + timedelta(days=3),
        limit,
    )
    return [msgspec.convert(row, DueInstalment) for row in rows]


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove what is kept about a customer's invoices; before the copy of the invoices is gone."""
    for statement in FORGET:
        await conn.execute(statement, tenant_id, customer_id)


FORGET = (
    """delete from dunning_steps s using invoices i where i.tenant_id = $1 and i.customer_id = $2
       and s.tenant_id = i.tenant_id and s.invoice_id = i.invoice_id""",
    """delete from dunning_pauses p using invoices i where i.tenant_id = $1 and i.customer_id = $2
       and p.tenant_id = i.tenant_id and p.invoice_id = i.invoice_id""",
    "delete from dunning_pauses where tenant_id = $1 and customer_id = $2",
    "delete from late_fees where tenant_id = $1 and customer_id = $2",
)
