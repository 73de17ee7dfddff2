"""HTTP: payment plans."""

from datetime import date
from typing import Annotated
from uuid import UUID

from aiohttp import web
from msgspec import Meta

from services.invoices.plans import actions, store
from services.invoices.plans.errors import (
    InstalmentsDoNotSum,
    InvoiceInPlan,
    InvoiceTwice,
    NothingToPlan,
    PlanNotActive,
    PlanUnknown,
    ScheduleAmbiguous,
    ScheduleMissing,
    ScheduleTooLate,
    SeveralCurrencies,
    SeveralCustomers,
    TooManyInstalments,
)
from services.invoices.plans.events import PaymentPlan
from services.invoices.plans.model import Frequency, Instalment, PlanStatus, Schedule
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.money import PositiveMoney

MAX_INSTALMENTS = 120
MAX_INVOICES = 100


class InstalmentCreate(Body, frozen=True, kw_only=True):
    """One instalment of the caller's own."""

    due_date: date
    amount: PositiveMoney


class PlanCreate(Body, frozen=True, kw_only=True):
    """A new payment plan: either `instalments`, or `count`, `frequency` and `start_date`."""

    invoice_ids: Annotated[list[UUID], Meta(min_length=1, max_length=MAX_INVOICES)]
    instalments: Annotated[list[InstalmentCreate], Meta(min_length=1, max_length=MAX_INSTALMENTS)] | None = None
    count: Annotated[int, Meta(ge=1, le=MAX_INSTALMENTS)] | None = None
    frequency: Frequency | None = None
    start_date: Annotated[
        date | None, Meta(description="day of the first instalment; the 31st becomes the last day of a shorter month")
    ] = None
    notes: Annotated[str, Meta(max_length=5000)] | None = None


class PlanQuery(PageQuery, frozen=True, kw_only=True):
    """Which payment plans."""

    status: PlanStatus | None = None
    customer_id: UUID | None = None
    invoice_id: UUID | None = None


async def list_plans(call: Call[None, PlanQuery]) -> web.StreamResponse:
    """List payment plans."""
    tenant_id = call.caller.tenant_id
    where = Where("p.tenant_id", tenant_id)
    if call.query.status is not None:
        where.add("p.status = ?", call.query.status)
    if call.query.customer_id is not None:
        where.add("p.customer_id = ?", call.query.customer_id)
    if call.query.invoice_id is not None:
        where.add(
            "p.id in (select plan_id from plan_invoices where tenant_id = ? and invoice_id = ?)",
            tenant_id,
            call.query.invoice_id,
        )
    async with call.connection() as conn:
        return call.page(await store.page(conn, tenant_id, where, call.query))


async def create_plan(call: Call[PlanCreate, None]) -> web.StreamResponse:
    """Put open invoices of one customer on a payment plan.

    The instalments sum exactly to what is due on the invoices. The plan is completed when nothing is due any more, and
    defaulted when an instalment is not covered by the end of its day.
    """
    async with call.transaction() as conn:
        plan = await actions.enrol(
            conn,
            call.caller.tenant_id,
            call.body.invoice_ids,
            _schedule(call.body),
            notes=call.body.notes,
            moment=await settlement.moment(conn, call.caller.tenant_id, call.now),
        )
        return call.created(plan, version=plan.version)


def _schedule(body: PlanCreate) -> Schedule:
    return Schedule(
        instalments=None
        if body.instalments is None
        else tuple(Instalment(due_date=part.due_date, amount_cents=int(part.amount)) for part in body.instalments),
        count=body.count,
        frequency=body.frequency,
        start_date=body.start_date,
    )


async def get_plan(call: Call[None, None]) -> web.StreamResponse:
    """Get a payment plan."""
    async with call.connection() as conn:
        plan = await actions.get(conn, call.caller.tenant_id, call.id("plan_id"))
    return call.reply(plan, version=plan.version)


async def cancel_plan(call: Call[None, None]) -> web.StreamResponse:
    """Cancel an active payment plan. Its invoices are due as they were."""
    async with call.transaction() as conn:
        moment = await settlement.moment(conn, call.caller.tenant_id, call.now)
        plan = await actions.cancel(conn, call.caller.tenant_id, call.id("plan_id"), moment=moment)
        return call.reply(plan, version=plan.version)


ALL = "/v1/payment-plans"
ONE = "/v1/payment-plans/{plan_id}"

ROUTES = (
    Route("GET", ALL, list_plans, scope="invoices:read", query=PlanQuery, returns=PaymentPlan, many=True),
    Route(
        "POST",
        ALL,
        create_plan,
        scope="invoices:write",
        body=PlanCreate,
        returns=PaymentPlan,
        status=201,
        refuses=(
            InvoiceUnknown,
            InvoiceTwice,
            NothingToPlan,
            InvoiceInPlan,
            SeveralCustomers,
            SeveralCurrencies,
            ScheduleMissing,
            ScheduleAmbiguous,
            ScheduleTooLate,
            TooManyInstalments,
            InstalmentsDoNotSum,
        ),
    ),
    Route("GET", ONE, get_plan, scope="invoices:read", returns=PaymentPlan, refuses=(PlanUnknown,)),
    Route(
        "POST",
        f"{ONE}/cancel",
        cancel_plan,
        scope="invoices:write",
        returns=PaymentPlan,
        refuses=(PlanUnknown, PlanNotActive),
    ),
)
