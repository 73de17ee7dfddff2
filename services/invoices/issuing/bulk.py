"""Many new invoices in one call: a JSON array or NDJSON, each made or refused on its own."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
from aiohttp import web

from services.invoices.issuing import actions, errors, model
from services.invoices.issuing.looking_up import facts_for
from services.invoices.issuing.model import Facts
from services.invoices.issuing.requests import InvoiceCreate
from services.invoices.issuing.store import Making
from services.invoices.settlement.model import Moment
from shared import clock
from shared.errors import FieldError, Invalid, InvalidFields, Refusal
from shared.http import bodies
from shared.http.calls import Call

MAX_INVOICES = 10_000
CHUNK = 250
"""Invoices written by one statement."""

NDJSON = "application/x-ndjson"


class TooManyInvoices(Invalid, code="too_many_items"):
    """A bulk call takes at most {limit} invoices; this one has {count}."""


class RowProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row was refused."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one row."""

    index: int
    status: Literal["created", "refused"]
    id: UUID | None = None
    invoice_number: str | None = None
    problem: RowProblem | None = None


async def bulk_create(call: Call[None, None]) -> web.StreamResponse:
    """Make up to 10,000 invoices.

    A JSON array, or one object a line as `application/x-ndjson`. Each row is made or refused on its own; the answer
    says which, in the order of the rows.
    """
    rows: dict[int, Row] = {}
    wanted = await _decoded(_values(call), rows)
    facts = await facts_for(call, actions.names(body for _, body in wanted))
    moment = Moment(now=call.now, today=clock.today(facts.settings.timezone, at=call.now))
    async with call.transaction() as conn:
        for at in range(0, len(wanted), CHUNK):
            chunk = _makings(call.caller.tenant_id, wanted[at : at + CHUNK], facts, moment, rows)
            made = await actions.create(conn, [making for _, making in chunk]) if chunk else []
            for (index, making), result in zip(chunk, made, strict=True):
                rows[index] = _row(index, making, result.invoice_number, result.refusal)
        return call.answer({"data": [rows[index] for index in sorted(rows)], "summary": _summary(rows)})


def _values(call: Call[None, None]) -> list[Any]:
    if call.request.content_type == NDJSON:
        lines = [line for line in call.raw.splitlines() if line.strip()]
        _refuse_too_many(len(lines))
        return [_line(line) for line in lines]
    values = bodies.decode_untyped(call.raw)
    if not isinstance(values, list):
        raise InvalidFields([FieldError(field="", message="must be an array of invoices")])
    _refuse_too_many(len(values))
    return values


def _line(line: bytes) -> Any:
    """A line of NDJSON; a malformed one is a row that is refused, not the end of the call."""
    try:
        return bodies.decode_untyped(line)
    except bodies.MalformedJson as refusal:
        return refusal


def _refuse_too_many(count: int) -> None:
    if count > MAX_INVOICES:
        raise TooManyInvoices(limit=MAX_INVOICES, count=count)


async def _decoded(values: Sequence[Any], rows: dict[int, Row]) -> list[tuple[int, InvoiceCreate]]:
    wanted = []
    for index, value in enumerate(values):
        if index % CHUNK == 0:
            await asyncio.sleep(0)  # let other requests be answered meanwhile
        try:
            if isinstance(value, Refusal):
                raise value
            wanted.append((index, bodies.convert_item(value, InvoiceCreate)))
        except Refusal as refusal:
            rows[index] = _refused(index, refusal)
    return wanted


def _makings(
    tenant_id: UUID, wanted: Sequence[tuple[int, InvoiceCreate]], facts: Facts, moment: Moment, rows: dict[int, Row]
) -> list[tuple[int, Making]]:
    makings = []
    for index, body in wanted:
        try:
            invoice = model.new_invoice(tenant_id, body, facts, moment=moment)
        except Refusal as refusal:
            rows[index] = _refused(index, refusal)
        else:
            making = actions.making(invoice, facts, moment=moment, generate_pdf=bool(body.generate_pdf))
            makings.append((index, making))
    return makings


def _row(index: int, making: Making, number: str | None, refusal: str | None) -> Row:
    if refusal is not None:
        return _refused(index, errors.NumberTaken(number=making.invoice.invoice_number, field="invoice_number"))
    return Row(index=index, status="created", id=making.invoice.id, invoice_number=number)


def _refused(index: int, refusal: Refusal) -> Row:
    problem = RowProblem(status=refusal.status, code=refusal.code, detail=refusal.detail, errors=tuple(refusal.errors))
    return Row(index=index, status="refused", problem=problem)


def _summary(rows: dict[int, Row]) -> dict[str, int]:
    created = sum(row.status == "created" for row in rows.values())
    return {"created": created, "refused": len(rows) - created}
