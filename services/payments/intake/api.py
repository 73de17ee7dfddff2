"""Payments over HTTP: taken in one by one or thousands at once, found again, paid back."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.payments.intake import actions, errors, events, store
from services.payments.intake.actions import Made, Maker, PaymentCreate
from services.payments.intake.model import Source
from services.payments.intake.taking import Till
from shared.errors import FieldError, InvalidFields, Refusal
from shared.http.bodies import Body, convert_item, decode_untyped
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import BULK_BYTES, Route
from shared.money import Money, PositiveMoney

MAX_BULK = 10_000
Day = date  # a field named `date` hides the type


class PaymentQuery(PageQuery, frozen=True, kw_only=True):
    """How to narrow the list of payments."""

    invoice_id: Annotated[UUID, Meta(description="those with money on this invoice")] | None = None
    customer_id: UUID | None = None
    reviewed: bool | None = None
    status: list[Literal["unmatched", "partially_matched", "matched"]] | None = None
    payment_date_start: date | None = None
    payment_date_end: date | None = None
    amount_min: Money | None = None
    amount_max: Money | None = None
    search: Annotated[str, Meta(max_length=200, description="in payer, reference, external id and notes")] | None = None


class RefundCreate(Body, frozen=True, kw_only=True):
    """What to pay back."""

    amount: Annotated[PositiveMoney, Meta(description="by default all that is unapplied")] | None = None
    date: Annotated[Day, Meta(description="by default today")] | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None


async def create_payment(call: Call[PaymentCreate, None]) -> web.StreamResponse:
    """Take in a payment.

    It answers `unmatched`; cash application follows at once in the background, where the tenant has `auto_match` on.
    """
    taking = actions.taking(maker(call, "api"), call.body, call.attempt)
    if await call.runtime.use(Till).take(taking):
        return call.created(taking.shown, version=taking.payment.version)
    async with call.transaction() as conn:  # answers as the first time, or says what is wrong with key or external id
        payment = await actions.create(conn, maker(call, "api"), call.body)
        return call.created(events.payment(payment, ()), version=payment.version)


async def list_payments(call: Call[None, PaymentQuery]) -> web.StreamResponse:
    """List payments, without their allocations."""
    async with call.connection() as conn:
        page = await store.listing(conn, _where(call.caller.tenant_id, call.query), call.query)
        return call.page(page.map(lambda row: events.payment(store.payment_of(row), whole=False)))


def _where(tenant_id: UUID, query: PaymentQuery) -> Where:
    where = Where("tenant_id", tenant_id)
    if query.invoice_id is not None:
        where.add(
            "id in (select payment_id from allocations where tenant_id = ? and invoice_id = ?"
            " and state in ('pending', 'applied', 'reversing'))",
            tenant_id,
            query.invoice_id,
        )
    if query.search:
        pattern = f"%{_escaped(query.search)}%"
        where.add(
            "payer_name ilike ? or payer_reference ilike ? or external_payment_id ilike ? or notes ilike ?",
            *[pattern] * 4,
        )
    for condition, value in _simple_conditions(query):
        if value is not None:
            where.add(condition, value)
    return where


def _simple_conditions(query: PaymentQuery) -> Iterator[tuple[str, object]]:
    yield "customer_id = ?", query.customer_id
    yield "reviewed = ?", query.reviewed
    yield "status = any(?)", query.status
    yield "payment_date >= ?", query.payment_date_start
    yield "payment_date <= ?", query.payment_date_end
    yield "amount_cents >= ?", query.amount_min
    yield "amount_cents <= ?", query.amount_max


def _escaped(text: str) -> str:
    """Search text with nothing special in it for `ilike`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def get_payment(call: Call[None, None]) -> web.StreamResponse:
    """Get a payment with its allocations and refunds."""
    async with call.connection() as conn:
        payment = await actions.get(conn, call.caller.tenant_id, call.id("payment_id"))
        return call.reply(await actions.shown(conn, call.caller.tenant_id, payment), version=payment.version)


async def refund_payment(call: Call[RefundCreate, None]) -> web.StreamResponse:
    """Pay unapplied money back."""
    async with call.transaction() as conn:
        data = await actions.refund(
            conn,
            call.caller.tenant_id,
            call.id("payment_id"),
            amount_cents=call.body.amount,
            when=call.body.date or call.today(),
            reason=call.body.reason,
            actor=call.caller.actor,
            now=call.now,
        )
        return call.reply(data, version=data.version)


async def create_payments(call: Call[None, None]) -> web.StreamResponse:
    """Take in up to 10,000 payments, each accepted or refused on its own.

    Send a JSON array, or one payment a line as `application/x-ndjson`. The answer has a row for each, in order.
    """
    items = _items(call)
    bodies, answers = _convert(items)
    prepared = actions.prepare(maker(call, "api"), list(bodies.values()))
    async with call.transaction() as conn:
        made = await actions.create_many(conn, call.caller.tenant_id, prepared)
        for index, one in zip(bodies, made, strict=True):
            answers[index] = _answer(index, one, bodies[index])
        rows = [answers[index] for index in range(len(items))]
        created = sum(row["status"] == "created" for row in rows)
        return call.reply(rows, extra={"summary": {"created": created, "refused": len(rows) - created}})


def _items(call: Call[Any, Any]) -> list[Any]:
    """The rows as they came; a line that is not JSON stands as its Refusal."""
    if call.request.content_type == "application/x-ndjson":
        items = [_line(line) for line in call.raw.splitlines() if line.strip()]
    else:
        items = decode_untyped(call.raw)
    if not isinstance(items, list):
        raise errors.BulkNotAList
    if len(items) > MAX_BULK:
        raise errors.BulkTooMany(most=MAX_BULK, count=len(items))
    return items


def _line(line: bytes) -> Any:
    try:
        return decode_untyped(line)
    except Refusal as refusal:
        return refusal


def _convert(items: Sequence[Any]) -> tuple[dict[int, PaymentCreate], dict[int, dict[str, object]]]:
    """The rows that are payments, by position, and the answers to those that are not."""
    bodies: dict[int, PaymentCreate] = {}
    answers: dict[int, dict[str, object]] = {}
    for index, item in enumerate(items):
        try:
            bodies[index] = _converted(item)
        except Refusal as refusal:
            answers[index] = _refused(index, refusal)
    return bodies, answers


def _converted(item: Any) -> PaymentCreate:
    if isinstance(item, Refusal):
        raise item
    if not isinstance(item, dict):
        raise InvalidFields([FieldError(field="", message="must be an object")])
    return convert_item(item, PaymentCreate)


def _answer(index: int, made: Made, body: PaymentCreate) -> dict[str, object]:
    if not made.duplicate:
        return {"index": index, "status": "created", "id": made.id}
    refusal = errors.ExternalIdTaken(
        external_payment_id=body.external_payment_id, payment_id=made.id, field="external_payment_id"
    )
    return _refused(index, refusal)


class _Problem(msgspec.Struct, omit_defaults=True):
    title: str
    status: int
    detail: str
    code: str
    errors: Sequence[FieldError] = ()


def _refused(index: int, refusal: Refusal) -> dict[str, object]:
    problem = _Problem(refusal.title, refusal.status, refusal.detail, refusal.code, refusal.errors)
    return {"index": index, "status": "refused", "problem": problem}


def maker(call: Call[Any, Any], source: Source) -> Maker:
    """Who takes in payments by this call."""
    return Maker(call.caller.tenant_id, call.caller.currency, call.caller.actor, source, call.now)


ROUTES = (
    Route(
        "POST",
        "/v1/payments",
        create_payment,
        scope="payments:write",
        body=PaymentCreate,
        returns=events.Payment,
        status=201,
        refuses=(errors.ExternalIdTaken,),
    ),
    Route(
        "GET",
        "/v1/payments",
        list_payments,
        scope="payments:read",
        query=PaymentQuery,
        returns=events.Payment,
        many=True,
    ),
    Route(
        "POST",
        "/v1/payments/bulk",
        create_payments,
        scope="payments:write",
        raw_body=True,
        takes=("application/json", "application/x-ndjson"),
        max_bytes=BULK_BYTES,
        refuses=(errors.BulkNotAList, errors.BulkTooMany),
    ),
    Route(
        "GET",
        "/v1/payments/{payment_id}",
        get_payment,
        scope="payments:read",
        returns=events.Payment,
        refuses=(errors.PaymentUnknown,),
    ),
    Route(
        "POST",
        "/v1/payments/{payment_id}/refund",
        refund_payment,
        scope="payments:write",
        body=RefundCreate,
        body_optional=True,
        returns=events.Payment,
        refuses=(errors.PaymentUnknown, errors.NothingUnapplied, errors.RefundExceedsUnapplied),
    ),
)
