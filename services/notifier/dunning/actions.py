"""What dunning can do, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from services.notifier.communications import actions as communications
from services.notifier.communications import store as mails
from services.notifier.communications.hours import next_opening
from services.notifier.communications.model import NewCommunication, day, money, next_day
from services.notifier.dunning import model, store
from services.notifier.dunning.errors import (
    CustomerUnknown,
    DefaultTaken,
    PausedObjectUnknown,
    PauseUnknown,
    ScheduleNameTaken,
    ScheduleUnknown,
    StepTemplateUnknown,
)
from services.notifier.dunning.model import Due
from services.notifier.dunning.shapes import DunningPause, DunningSchedule
from services.notifier.dunning.store import Candidate, DueInstalment
from services.notifier.recipients import store as recipients
from services.notifier.settings import store as settings_store
from services.notifier.templates import store as templates
from shared.db import Conn
from shared.ids import uuid7
from shared.money import major

QUIET = timedelta(hours=20)
"""A customer hears of the clock once a day at most."""


async def get(conn: Conn, tenant_id: UUID, schedule_id: UUID) -> DunningSchedule:
    """One schedule; raises ScheduleUnknown."""
    schedule = await store.find(conn, tenant_id, schedule_id)
    if schedule is None:
        raise ScheduleUnknown(schedule_id=schedule_id)
    return schedule


async def create(conn: Conn, tenant_id: UUID, schedule: DunningSchedule, *, now: datetime) -> DunningSchedule:
    """Keep a new schedule, and let the clock look at everything by it."""
    await _save(conn, tenant_id, schedule, now=now)
    return schedule


async def change(
    conn: Conn,
    tenant_id: UUID,
    schedule_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> DunningSchedule:
    """Change a schedule. Steps that were taken stay taken."""
    before = await store.find(conn, tenant_id, schedule_id, lock=True)
    if before is None:
        raise ScheduleUnknown(schedule_id=schedule_id)
    check_version(before.version)
    after = msgspec.structs.replace(before, **fields)
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1, updated_at=now)
    await _save(conn, tenant_id, after, now=now)
    return after


async def remove(conn: Conn, tenant_id: UUID, schedule_id: UUID, *, check_version: Callable[[int], None]) -> None:
    """Remove a schedule. What it has queued stays queued."""
    schedule = await get(conn, tenant_id, schedule_id)
    check_version(schedule.version)
    await store.delete(conn, tenant_id, schedule_id)


async def _save(conn: Conn, tenant_id: UUID, schedule: DunningSchedule, *, now: datetime) -> None:
    for number, step in enumerate(schedule.steps):
        if await templates.find(conn, tenant_id, step.template_id) is None:
            raise StepTemplateUnknown(template_id=step.template_id, field=f"steps[{number}].template_id")
    known = await recipients.known_customers(conn, tenant_id, schedule.customer_ids)
    for number, customer_id in enumerate(schedule.customer_ids):
        if customer_id not in known:
            raise CustomerUnknown(customer_id=customer_id, field=f"customer_ids[{number}]")
    try:
        await store.save(conn, tenant_id, schedule)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "dunning_schedules_default":
            raise DefaultTaken(field="is_default") from error
        raise ScheduleNameTaken(name=schedule.name, field="name") from error
    await recipients.look_again(conn, tenant_id, now=now)


async def pause(conn: Conn, tenant_id: UUID, pause: DunningPause) -> DunningPause:
    """Leave a customer or an invoice alone."""
    if pause.invoice_id is not None and not await recipients.knows_invoice(conn, tenant_id, pause.invoice_id):
        raise PausedObjectUnknown(invoice_id=pause.invoice_id, field="invoice_id")
    customers = [pause.customer_id] if pause.customer_id else []
    if set(customers) - await recipients.known_customers(conn, tenant_id, customers):
        raise CustomerUnknown(customer_id=pause.customer_id, field="customer_id")
    await store.save_pause(conn, tenant_id, pause)
    return pause


async def end_pause(conn: Conn, tenant_id: UUID, pause_id: UUID, *, now: datetime) -> None:
    """Let the clock look again."""
    if not await store.delete_pause(conn, tenant_id, pause_id):
        raise PauseUnknown(pause_id=pause_id)
    await recipients.look_again(conn, tenant_id, now=now)


async def remind(conn: Conn, who: Candidate, *, now: datetime) -> None:
    """Look at all open invoices of a customer: take the steps that are due, in one mail, and say when to look again."""
    timezone = await recipients.timezone_of(conn, who.tenant_id, who.customer_id)
    today = now.astimezone(ZoneInfo(timezone)).date()
    invoices = await store.open_invoices(conn, who, today=today)
    last = await mails.last_dunning(conn, who.tenant_id, who.customer_id)
    if last is not None and last > now - QUIET:
        await recipients.look_later(conn, who.tenant_id, who.customer_id, at=last + QUIET)
        return
    account = await store.account(conn, who, today=today)
    rules = [schedule.rule for schedule in await store.active(conn, who.tenant_id)]
    schedule = model.schedule_for(rules, account)
    found = (
        [model.due_step(schedule, invoice, today) for invoice in invoices] if schedule and not account.paused else []
    )
    dues = [due for due in found if due is not None]
    if dues:
        await _take(conn, who, dues, timezone=timezone, now=now)
    await recipients.look_later(conn, who.tenant_id, who.customer_id, at=next_day(now, timezone))


async def _take(conn: Conn, who: Candidate, dues: list[Due], *, timezone: str, now: datetime) -> None:
    gravest = model.gather(dues)
    assert gravest is not None
    everybody = await store.contacts(conn, who)
    silent = await recipients.unsubscribed(conn, who.tenant_id, [contact.email for contact in everybody])
    addressed = model.addressees(everybody, gravest.step.escalation_level, silent)
    mail_id = uuid7() if addressed else None
    if mail_id is not None:
        settings = await settings_store.find(conn, who.tenant_id)
        ordered = sorted(dues, key=lambda due: due is not gravest)
        new = NewCommunication(
            id=mail_id,
            kind="dunning",
            template_id=gravest.step.template_id,
            template_stage="reminder",
            customer_id=who.customer_id,
            invoice_ids=tuple(due.invoice.invoice_id for due in ordered),
            contact_id=addressed[0].id,
            to_name=addressed[0].name,
            to_email=addressed[0].email,
            cc=tuple(contact.email for contact in addressed[1:]),
            scheduled_for=next_opening(communications.hours(settings), now, timezone),
        )
        await mails.insert(conn, who.tenant_id, new, now=now)
    await store.steps_done(conn, who.tenant_id, dues, "sent" if mail_id else "nobody", mail_id, now=now)
    await _charge(conn, who, dues, now=now)


async def _charge(conn: Conn, who: Candidate, dues: list[Due], *, now: datetime) -> None:
    for due in dues:
        fee = model.fee_cents(due.step.late_fee, due.invoice.due_cents) if due.step.late_fee else 0
        if fee:
            await store.store_fee(conn, who, due, fee, now=now)


async def tell_of_instalment(conn: Conn, instalment: DueInstalment, *, now: datetime) -> None:
    """Tell a customer of an instalment, in its business hours."""
    people = await recipients.people(conn, instalment.tenant_id, instalment.customer_id)
    await recipients.instalment_told(conn, instalment.tenant_id, instalment.plan_id, instalment.number, now=now)
    if not people:
        return
    settings = await settings_store.find(conn, instalment.tenant_id)
    timezone = await recipients.timezone_of(conn, instalment.tenant_id, instalment.customer_id)
    new = NewCommunication(
        id=uuid7(),
        kind="plan_instalment",
        customer_id=instalment.customer_id,
        invoice_ids=(instalment.invoice_id,),
        contact_id=people[0].contact_id,
        to_name=people[0].name,
        to_email=people[0].email,
        to_phone=people[0].phone,
        scheduled_for=next_opening(communications.hours(settings), now, timezone),
        facts={
            "instalment_amount": money(major(instalment.amount_cents), instalment.currency),
            "instalment_due_date": day(instalment.due_date),
        },
    )
    await mails.insert(conn, instalment.tenant_id, new, now=now)


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove what is kept about a customer."""
    await store.forget_customer(conn, tenant_id, customer_id)
