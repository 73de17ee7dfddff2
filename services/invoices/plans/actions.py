"""What can be done with payment plans, inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from services.invoices.plans import events, model, store
from services.invoices.plans.errors import InvoiceTwice, PlanNotActive, PlanUnknown
from services.invoices.plans.events import PaymentPlan
from services.invoices.plans.model import PlanStatus, Schedule
from services.invoices.plans.store import ActivePlan, NewPlan
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.model import Moment, Receivable
from shared import outbox
from shared.db import Conn
from shared.ids import uuid7

ENDED = {PlanStatus.COMPLETED: events.PLAN_COMPLETED, PlanStatus.DEFAULTED: events.PLAN_DEFAULTED}


async def get(conn: Conn, tenant_id: UUID, plan_id: UUID) -> PaymentPlan:
    """One payment plan."""
    plan = await store.find(conn, tenant_id, plan_id)
    if plan is None:
        raise PlanUnknown(plan_id=plan_id)
    return plan


async def enrol(
    conn: Conn,
    tenant_id: UUID,
    invoice_ids: Sequence[UUID],
    schedule: Schedule,
    *,
    notes: str | None,
    moment: Moment,
) -> PaymentPlan:
    """Put open invoices of one customer on a plan of what is due on them."""
    _refuse_twice(invoice_ids)
    locked = await settlement.lock(conn, tenant_id, invoice_ids)
    _refuse_unknown(invoice_ids, locked)
    invoices = [locked[invoice_id] for invoice_id in invoice_ids]
    model.refuse_unplannable(invoices)
    plan = NewPlan(
        id=uuid7(),
        customer_id=invoices[0].customer_id,
        currency=invoices[0].currency,
        frequency=schedule.frequency,
        notes=notes,
        invoices={invoice.id: invoice.amount_due_cents for invoice in invoices},
        instalments=schedule.of(sum(invoice.amount_due_cents for invoice in invoices)),
        created_at=moment.now,
    )
    await store.insert(conn, tenant_id, plan)
    await _mark(conn, invoices, in_plan=True, moment=moment)
    enrolled = await get(conn, tenant_id, plan.id)
    await outbox.put(conn, events.announce(events.PLAN_ENROLLED, tenant_id, enrolled))
    return enrolled


def _refuse_twice(invoice_ids: Sequence[UUID]) -> None:
    for i, invoice_id in enumerate(invoice_ids):
        if invoice_id in invoice_ids[:i]:
            raise InvoiceTwice(invoice_id=invoice_id, field=f"invoice_ids[{i}]")


def _refuse_unknown(invoice_ids: Sequence[UUID], locked: Mapping[UUID, Receivable]) -> None:
    for i, invoice_id in enumerate(invoice_ids):
        if invoice_id not in locked:
            raise InvoiceUnknown(invoice_id=invoice_id, field=f"invoice_ids[{i}]")


async def _mark(conn: Conn, invoices: Sequence[Receivable], *, in_plan: bool, moment: Moment) -> None:
    for invoice in invoices:
        await settlement.settle(conn, invoice, msgspec.structs.replace(invoice, in_plan=in_plan), moment=moment)


async def cancel(conn: Conn, tenant_id: UUID, plan_id: UUID, *, moment: Moment) -> PaymentPlan:
    """End an active plan; its invoices are due as they were."""
    invoices = await _lock_invoices(conn, tenant_id, plan_id)
    plan = await store.lock(conn, tenant_id, plan_id)
    if plan is None:
        raise PlanUnknown(plan_id=plan_id)
    if plan.status is not PlanStatus.ACTIVE:
        raise PlanNotActive(status=plan.status)
    return await _end(conn, tenant_id, plan, PlanStatus.CANCELLED, invoices, moment)


async def review(conn: Conn, tenant_id: UUID, plan_id: UUID, *, moment: Moment) -> None:
    """See whether an active plan is completed or defaulted, and end it then."""
    invoices = await _lock_invoices(conn, tenant_id, plan_id)
    plan = await store.lock(conn, tenant_id, plan_id)
    if plan is None or plan.status is not PlanStatus.ACTIVE:
        return
    standing = model.standing(plan.instalments, due_cents=plan.due_cents, today=moment.today)
    if standing is not PlanStatus.ACTIVE:
        await _end(conn, tenant_id, plan, standing, invoices, moment)


async def _lock_invoices(conn: Conn, tenant_id: UUID, plan_id: UUID) -> list[Receivable]:
    invoice_ids = await store.invoice_ids(conn, tenant_id, plan_id)
    return list((await settlement.lock(conn, tenant_id, invoice_ids)).values())


async def _end(
    conn: Conn, tenant_id: UUID, plan: ActivePlan, status: PlanStatus, invoices: Sequence[Receivable], moment: Moment
) -> PaymentPlan:
    await store.end(conn, tenant_id, plan.id, status, now=moment.now)
    await _mark(conn, invoices, in_plan=False, moment=moment)
    ended = await get(conn, tenant_id, plan.id)
    if status in ENDED:
        await outbox.put(conn, events.announce(ENDED[status], tenant_id, ended))
    return ended
