"""Rows of communications."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.notifier.communications.events import Communication, Problem
from services.notifier.communications.model import TURN_SECONDS, NewCommunication, Turn
from services.notifier.recipients.model import Person
from services.notifier.templates.model import Rendered
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

LISTED = """id, version, kind, template_id, template_stage, customer_id, invoice_id, invoice_ids, contact_id, to_name,
    to_email, to_phone, cc, cc_self, status, scheduled_for, attempts, next_attempt_at, message_id, subject, held,
    error_code, error, cancel_reason, requested_by, sent_at, created_at, updated_at"""
WHOLE = f"{LISTED}, text, html"
SORTS = {"created_at": Sort("created_at", datetime), "scheduled_for": Sort("scheduled_for", datetime)}


def _communication(row: asyncpg.Record) -> Communication:
    fields: dict[str, Any] = dict(row)
    code, reason = fields.pop("error_code"), fields.pop("error")
    problem = Problem(code=code, reason=reason) if code else None
    return msgspec.convert({**fields, "problem": problem}, Communication)


async def page(conn: Conn, where: Where, query: PageQuery) -> Page[Communication]:
    """One piece of the list."""
    rows = await pages.fetch(conn, f"select {LISTED} from communications", where, query, sorts=SORTS)
    return rows.map(_communication)


async def find(conn: Conn, tenant_id: UUID, communication_id: UUID) -> Communication | None:
    """One, with its words."""
    row = await conn.fetchrow(
        f"select {WHOLE} from communications where tenant_id = $1 and id = $2", tenant_id, communication_id
    )
    return None if row is None else _communication(row)


async def insert(conn: Conn, tenant_id: UUID, new: NewCommunication, *, now: datetime) -> None:
    """Store a new one; the same id again changes nothing."""
    await conn.execute(
        """insert into communications (tenant_id, id, version, kind, template_id, template_stage, customer_id,
               invoice_id, invoice_ids, contact_id, to_name, to_email, to_phone, cc, cc_self, status, scheduled_for,
               attempts, next_attempt_at, facts, held, requested_by, created_at, updated_at)
           select $1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'pending', $15, 0, $15, $16,
               not coalesce((select live from identity.tenants where tenant_id = $1), false), $17, $18, $18
           on conflict (tenant_id, id) do nothing""",
        tenant_id,
        new.id,
        new.kind,
        new.template_id,
        new.template_stage,
        new.customer_id,
        new.invoice_ids[0] if new.invoice_ids else None,
        list(new.invoice_ids),
        new.contact_id,
        new.to_name,
        new.to_email,
        new.to_phone,
        list(new.cc),
        new.cc_self,
        new.scheduled_for,
        msgspec.json.encode(new.facts).decode(),
        new.requested_by,
        now,
    )


async def cancel(conn: Conn, tenant_id: UUID, communication_id: UUID, reason: str, *, now: datetime) -> bool:
    """Cancel one that waits; False where it does not wait any more."""
    done = await conn.fetchval(
        """update communications set status = 'cancelled', cancel_reason = $3, next_attempt_at = null,
               version = version + 1, updated_at = $4
           where tenant_id = $1 and id = $2 and status = 'pending' returning true""",
        tenant_id,
        communication_id,
        reason,
        now,
    )
    return bool(done)


async def cancel_about(
    conn: Conn, tenant_id: UUID, invoice_id: UUID, reason: str, *, kinds: Sequence[str], before: datetime, now: datetime
) -> None:
    """Cancel what waits about one invoice alone: reminders at once, the rest where it was scheduled for later."""
    await conn.execute(
        """update communications set status = 'cancelled', cancel_reason = $4, next_attempt_at = null,
               version = version + 1, updated_at = $6
           where tenant_id = $1 and invoice_ids @> array[$2::uuid] and cardinality(invoice_ids) = 1
               and status = 'pending' and kind <> 'receipt' and (kind = any($3) or scheduled_for > $5)""",
        tenant_id,
        invoice_id,
        list(kinds),
        reason,
        before,
        now,
    )


async def readdress(conn: Conn, tenant_id: UUID, customer_id: UUID, person: Person, *, now: datetime) -> None:
    """A contact has a new name, email or phone: what waits for it goes there."""
    await conn.execute(
        """update communications set to_name = $4, to_email = $5, to_phone = $6, version = version + 1, updated_at = $7
           where tenant_id = $1 and customer_id = $2 and contact_id = $3 and status = 'pending'
               and (to_name, to_email, coalesce(to_phone, '')) is distinct from ($4, $5, coalesce($6, ''))""",
        tenant_id,
        customer_id,
        person.contact_id,
        person.name,
        person.email,
        person.phone,
        now,
    )


async def reassign(conn: Conn, tenant_id: UUID, customer_id: UUID, person: Person, *, now: datetime) -> None:
    """What waits for contacts that are gone, or was stored before any was known, goes to the primary one."""
    await conn.execute(
        """update communications c set contact_id = $3, to_name = $4, to_email = $5, to_phone = $6,
               version = version + 1, updated_at = $7
           where tenant_id = $1 and customer_id = $2 and status = 'pending' and not exists (
               select from contacts k where k.tenant_id = $1 and k.customer_id = $2 and k.contact_id = c.contact_id)""",
        tenant_id,
        customer_id,
        person.contact_id,
        person.name,
        person.email,
        person.phone,
        now,
    )


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove all mails to a customer."""
    await conn.execute("delete from communications where tenant_id = $1 and customer_id = $2", tenant_id, customer_id)


async def take_turns(conn: Conn, turn: UUID, *, limit: int, now: datetime) -> list[Turn]:
    """Take up mails that are due, and those whose process died before the hand-over."""
    rows = await conn.fetch(
        """with waiting as (
               select tenant_id, id from communications where status = 'pending' and next_attempt_at <= $2
               order by next_attempt_at limit $3 for update skip locked),
           dropped as (
               select tenant_id, id from communications
               where status = 'sending' and turn_until <= $2 and handed_over_at is null limit $3
               for update skip locked),
           due as (select * from waiting union all select * from dropped limit $3)
           update communications c set status = 'sending', turn = $1, turn_until = $2 + make_interval(secs => $4),
               attempts = attempts + 1, version = version + 1, updated_at = $2
           from due where c.tenant_id = due.tenant_id and c.id = due.id
           returning c.tenant_id, c.id, turn, kind, template_id, template_stage, customer_id, invoice_ids, contact_id,
               to_name, to_email, cc, cc_self, attempts, facts""",
        turn,
        now,
        limit,
        float(TURN_SECONDS),
    )
    return [msgspec.convert({**row, "facts": msgspec.json.decode(row["facts"])}, Turn) for row in rows]


async def hand_over(conn: Conn, turn: Turn, rendered: Rendered, message_id: str, *, now: datetime) -> bool:
    """Record that the message is about to go; False where it is not this process's turn any more."""
    done = await conn.fetchval(
        """update communications set handed_over_at = $4, message_id = $5, subject = $6, text = $7, html = $8,
               version = version + 1, updated_at = $4
           where tenant_id = $1 and id = $2 and turn = $3 and status = 'sending' and handed_over_at is null
           returning true""",
        turn.tenant_id,
        turn.id,
        turn.turn,
        now,
        message_id,
        rendered.subject,
        rendered.text,
        rendered.html,
    )
    return bool(done)


async def finish(conn: Conn, turn: Turn, changes: Mapping[str, object], *, now: datetime) -> Communication | None:
    """Record how a turn ended; None where it had been given to another process."""
    names = list(changes)
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, 5))
    row = await conn.fetchrow(
        f"""update communications set {sets}, turn_until = null, version = version + 1, updated_at = $4
            where tenant_id = $1 and id = $2 and turn = $3 returning {LISTED}""",
        turn.tenant_id,
        turn.id,
        turn.turn,
        now,
        *changes.values(),
    )
    return None if row is None else _communication(row)


async def lost(conn: Conn, *, now: datetime, limit: int) -> list[tuple[UUID, Communication]]:
    """Give up mails whose process died after it said that it hands over: they may have left."""
    rows = await conn.fetch(
        f"""update communications c set status = 'failed', error_code = 'outcome_unknown', error = $2,
                next_attempt_at = null, turn_until = null, version = version + 1, updated_at = $1
            where (tenant_id, id) in (
                select tenant_id, id from communications where status = 'sending' and turn_until <= $1
                    and handed_over_at is not null limit $3 for update skip locked)
            returning tenant_id, {LISTED}""",
        now,
        UNKNOWN,
        limit,
    )
    return [(row["tenant_id"], _communication(_without(row, "tenant_id"))) for row in rows]


UNKNOWN = "the process stopped while it handed the mail over; it may have been delivered, so it is not sent again"


def _without(row: asyncpg.Record, name: str) -> Any:
    return {key: value for key, value in row.items() if key != name}


async def count_mail(conn: Conn, tenant_id: UUID, day: date, limit: int) -> bool:
    """Count a mail against the day's limit; False where it is used up."""
    counted = await conn.fetchval(
        """insert into daily_counts (tenant_id, day, mails) select $1, $2, 1 where $3 > 0
           on conflict (tenant_id, day) do update set mails = daily_counts.mails + 1 where daily_counts.mails < $3
           returning true""",
        tenant_id,
        day,
        limit,
    )
    return bool(counted)


async def forget_counts(conn: Conn, before: date) -> None:
    """Remove the counts of days long past."""
    await conn.execute("delete from daily_counts where day < $1", before)


async def address_of(conn: Conn, tenant_id: UUID, communication_id: UUID) -> str | None:
    """Whom a communication is addressed to."""
    email: str | None = await conn.fetchval(
        "select to_email from communications where tenant_id = $1 and id = $2", tenant_id, communication_id
    )
    return email


async def cancel_reminders_to(conn: Conn, tenant_id: UUID, email: str, *, now: datetime, kinds: Sequence[str]) -> None:
    """Cancel what waits for somebody who wants no reminders."""
    await conn.execute(
        """update communications set status = 'cancelled', cancel_reason = 'unsubscribed', next_attempt_at = null,
               version = version + 1, updated_at = $3
           where tenant_id = $1 and lower(to_email) = lower($2) and status = 'pending' and kind = any($4)""",
        tenant_id,
        email,
        now,
        list(kinds),
    )


async def last_dunning(conn: Conn, tenant_id: UUID, customer_id: UUID) -> datetime | None:
    """When the customer was last reminded by the clock."""
    at: datetime | None = await conn.fetchval(
        """select max(created_at) from communications where tenant_id = $1 and customer_id = $2 and kind = 'dunning'
           and status <> 'cancelled'""",
        tenant_id,
        customer_id,
    )
    return at
