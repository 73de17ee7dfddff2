"""HTTP: dunning schedules and pauses."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.notifier.dunning import actions, store
from services.notifier.dunning.errors import (
    CustomerUnknown,
    DefaultTaken,
    PausedObjectUnknown,
    PauseUnknown,
    ScheduleNameTaken,
    ScheduleUnknown,
    StepTemplateUnknown,
)
from services.notifier.dunning.shapes import DunningPause, DunningSchedule, ShownFee, ShownStep
from services.notifier.patching import given
from services.notifier.recipients import asking
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.ids import uuid7
from shared.money import Money, Percent, major

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=100)]
Customers = Annotated[list[UUID], Meta(max_length=1000)]


class LateFeeBody(Body, frozen=True, kw_only=True):
    """A fee for being late: a fixed amount, a percentage of what is due, or both."""

    amount: Money = msgspec.field(default_factory=Money)  # msgspec cannot show a Money as default
    percent: Percent = msgspec.field(default_factory=Percent)


class StepBody(Body, frozen=True, kw_only=True):
    """One step: so many days after the due date (negative: before it)."""

    days: Annotated[int, Meta(ge=-365, le=365)]
    template_id: UUID
    minimum_amount: Money = msgspec.field(default_factory=Money)
    escalation_level: Annotated[int, Meta(ge=0, le=100)] = 0
    late_fee: LateFeeBody | None = None


Steps = Annotated[list[StepBody], Meta(min_length=1, max_length=30)]


class ScheduleCreate(Body, frozen=True, kw_only=True):
    """A new schedule."""

    name: Name
    steps: Steps
    is_active: bool = True
    is_default: bool = False
    tags: Tags = msgspec.field(default_factory=list)
    customer_ids: Customers = msgspec.field(default_factory=list)


class SchedulePatch(Body, frozen=True, kw_only=True):
    """What to change of a schedule; `steps` replaces all steps."""

    name: Name | UnsetType = UNSET
    steps: Steps | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    customer_ids: Customers | UnsetType = UNSET


class PauseCreate(Body, frozen=True, kw_only=True):
    """A new pause, of a customer or of an invoice."""

    customer_id: UUID | None = None
    invoice_id: UUID | None = None
    until: date | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class PauseQuery(PageQuery, frozen=True, kw_only=True):
    """Which pauses."""

    customer_id: UUID | None = None
    invoice_id: UUID | None = None


async def list_schedules(call: Call[None, PageQuery]) -> web.StreamResponse:
    """List dunning schedules."""
    async with call.connection() as conn:
        return call.page(await store.page(conn, call.caller.tenant_id, call.query))


async def create_schedule(call: Call[ScheduleCreate, None]) -> web.StreamResponse:
    """Create a dunning schedule. Invoices that are due already start with the latest step that has passed."""
    schedule = DunningSchedule(id=uuid7(), **_fields(call.body), version=1, created_at=call.now, updated_at=call.now)
    await asking.learn_of_customers(call.runtime, call.caller.tenant_id, schedule.customer_ids)
    async with call.transaction() as conn:
        schedule = await actions.create(conn, call.caller.tenant_id, schedule, now=call.now)
        return call.created(schedule, version=schedule.version)


async def get_schedule(call: Call[None, None]) -> web.StreamResponse:
    """Get a dunning schedule."""
    async with call.connection() as conn:
        schedule = await actions.get(conn, call.caller.tenant_id, call.id("schedule_id"))
    return call.reply(schedule, version=schedule.version)


async def change_schedule(call: Call[SchedulePatch, None]) -> web.StreamResponse:
    """Change a dunning schedule. Steps that were taken stay taken."""
    fields = _fields(call.body)
    await asking.learn_of_customers(call.runtime, call.caller.tenant_id, fields.get("customer_ids", ()))
    async with call.transaction() as conn:
        schedule = await actions.change(
            conn,
            call.caller.tenant_id,
            call.id("schedule_id"),
            fields,
            check_version=call.check_if_match,
            now=call.now,
        )
        return call.reply(schedule, version=schedule.version)


async def delete_schedule(call: Call[None, None]) -> web.StreamResponse:
    """Delete a dunning schedule. Mails that it has queued stay queued."""
    async with call.transaction() as conn:
        await actions.remove(conn, call.caller.tenant_id, call.id("schedule_id"), check_version=call.check_if_match)
        return call.deleted()


def _fields(body: ScheduleCreate | SchedulePatch) -> dict[str, Any]:
    fields = given(body)
    if "steps" in fields:
        fields["steps"] = _steps(fields["steps"])
    return fields


def _steps(steps: list[StepBody]) -> list[ShownStep]:
    """By day, each day once."""
    days = [step.days for step in steps]
    twice = [number for number, day in enumerate(days) if day in days[:number]]
    if twice:
        raise InvalidFields([FieldError(field=f"steps[{n}].days", message="is there twice") for n in twice])
    return [_step(step) for step in sorted(steps, key=lambda step: step.days)]


def _step(step: StepBody) -> ShownStep:
    fee = step.late_fee
    return ShownStep(
        days=step.days,
        template_id=step.template_id,
        minimum_amount=major(step.minimum_amount),
        escalation_level=step.escalation_level,
        late_fee=ShownFee(amount=major(fee.amount), percent=Decimal(fee.percent)) if fee else None,
    )


async def list_pauses(call: Call[None, PauseQuery]) -> web.StreamResponse:
    """List the customers and invoices that the clock leaves alone."""
    where = Where("tenant_id", call.caller.tenant_id)
    if call.query.customer_id:
        where.add("customer_id = ?", call.query.customer_id)
    if call.query.invoice_id:
        where.add("invoice_id = ?", call.query.invoice_id)
    async with call.connection() as conn:
        return call.page(await store.pause_page(conn, where, call.query))


async def create_pause(call: Call[PauseCreate, None]) -> web.StreamResponse:
    """Leave a customer, or one invoice, alone."""
    body = call.body
    if (body.customer_id is None) == (body.invoice_id is None):
        raise InvalidFields([FieldError(field="customer_id", message="give either this or `invoice_id`")])
    pause = DunningPause(id=uuid7(), **given(body), created_at=call.now)
    await _learn_of(call)
    async with call.transaction() as conn:
        return call.created(await actions.pause(conn, call.caller.tenant_id, pause))


async def _learn_of(call: Call[PauseCreate, None]) -> None:
    if call.body.customer_id is not None:
        await asking.learn_of_customers(call.runtime, call.caller.tenant_id, [call.body.customer_id])
    if call.body.invoice_id is not None:
        await asking.learn_of_invoice(call.runtime, call.caller.tenant_id, call.body.invoice_id)


async def delete_pause(call: Call[None, None]) -> web.StreamResponse:
    """End a pause."""
    async with call.transaction() as conn:
        await actions.end_pause(conn, call.caller.tenant_id, call.id("pause_id"), now=call.now)
        return call.deleted()


ALL = "/v1/dunning-schedules"
ONE = "/v1/dunning-schedules/{schedule_id}"
PAUSES = "/v1/dunning-pauses"
READ, WRITE = "invoices:read", "invoices:write"
WRONG = (ScheduleNameTaken, DefaultTaken, StepTemplateUnknown, CustomerUnknown)
CHANGING = (ScheduleUnknown, *WRONG)

ROUTES = (
    Route("GET", ALL, list_schedules, scope=READ, query=PageQuery, returns=DunningSchedule, many=True),
    Route(
        "POST",
        ALL,
        create_schedule,
        scope=WRITE,
        body=ScheduleCreate,
        returns=DunningSchedule,
        status=201,
        refuses=WRONG,
    ),
    Route("GET", ONE, get_schedule, scope=READ, returns=DunningSchedule, refuses=(ScheduleUnknown,)),
    Route("PATCH", ONE, change_schedule, scope=WRITE, body=SchedulePatch, returns=DunningSchedule, refuses=CHANGING),
    Route("PUT", ONE, change_schedule, scope=WRITE, body=SchedulePatch, returns=DunningSchedule, refuses=CHANGING),
    Route("DELETE", ONE, delete_schedule, scope=WRITE, refuses=(ScheduleUnknown,)),
    Route("GET", PAUSES, list_pauses, scope=READ, query=PauseQuery, returns=DunningPause, many=True),
    Route(
        "POST",
        PAUSES,
        create_pause,
        scope=WRITE,
        body=PauseCreate,
        returns=DunningPause,
        status=201,
        refuses=(PausedObjectUnknown, CustomerUnknown),
    ),
    Route("DELETE", f"{PAUSES}/{{pause_id}}", delete_pause, scope=WRITE, refuses=(PauseUnknown,)),
)
