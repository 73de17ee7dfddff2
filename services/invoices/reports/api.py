"""HTTP: reports."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.invoices.rendering.bills import brand_of
from services.invoices.rendering.typesetting import typesetter
from services.invoices.reports import actions, document, model, sheet
from services.invoices.reports.errors import StatementCustomerUnknown
from services.invoices.reports.shapes import Aging, AgingTotal, DsoMonth, Statement
from services.invoices.reports.sheet import Cell
from services.invoices.settings import actions as settings
from shared import clock
from shared.errors import FieldError, InvalidQuery
from shared.http.calls import Call
from shared.http.routes import Route

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="the tenant's own by default")]
Sheet = Annotated[Literal["json", "csv"], Meta(description="`csv` opens in any spreadsheet")]


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every report takes."""

    format: Sheet = "json"
    currency: Currency | None = None


class AgingQuery(ReportQuery, frozen=True, kw_only=True):
    """Which aging report."""

    as_of: Annotated[date | None, Meta(description="any day; today by default")] = None


class StatementQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which statement."""

    customer_id: UUID
    start: Annotated[date | None, Meta(description="by default the first day of the month of `end`")] = None
    end: Annotated[date | None, Meta(description="today by default")] = None
    format: Literal["json", "csv", "pdf"] = "json"
    currency: Currency | None = None


async def aging(call: Call[None, AgingQuery]) -> web.StreamResponse:
    """Report open money by customer and by how late it was on any day, today by default.

    It is made from the ledger: its total is the balance of account 1100 at the end of that day.
    """
    async with call.connection() as conn:
        own = await settings.current(conn, call.caller)
        currency = call.query.currency or own.currency
        as_of = call.query.as_of or clock.today(own.timezone, at=call.now)
        report = await actions.aging(conn, call.caller.tenant_id, currency=currency, as_of=as_of)
    if call.query.format == "csv":
        return _csv(f"aging-{as_of}", ["customer_id", "customer_name", *AGING, "currency"], _aging_rows(report))
    return call.reply(report)


AGING = AgingTotal.__struct_fields__


def _aging_rows(report: Aging) -> Iterable[list[Cell]]:
    for customer in report.customers:
        yield [customer.customer_id, customer.customer_name, *_amounts(customer), report.currency]
    yield [None, "Total", *_amounts(report.total), report.currency]


def _amounts(total: AgingTotal) -> list[Cell]:
    return [getattr(total, name) for name in AGING]


async def statement(call: Call[None, StatementQuery]) -> web.StreamResponse:
    """State a customer's account over a period, both days included: opening balance, movements, closing balance.

    With `format=csv` it is a sheet, with `format=pdf` a document in the tenant's branding.
    """
    async with call.connection() as conn:
        own = await settings.current(conn, call.caller)
        start, end = _period(call.query, clock.today(own.timezone, at=call.now))
        currency = call.query.currency or own.currency
        account = await actions.account(
            conn, call.caller.tenant_id, call.query.customer_id, currency=currency, start=start, end=end
        )
    if call.query.format == "csv":
        return _csv(f"statement-{start}-{end}", MOVEMENT, _statement_rows(actions.statement(account)))
    if call.query.format == "pdf":
        brand = brand_of(own.branding, tenant_name=call.caller.tenant_name)
        pdf = await asyncio.to_thread(typesetter().statement, document.of_account(account, brand))
        return _file(pdf, f"statement-{start}-{end}.pdf", "application/pdf")
    return call.reply(actions.statement(account))


def _period(query: StatementQuery, today: date) -> tuple[date, date]:
    end = query.end or (max(today, query.start) if query.start else today)
    start = query.start or end.replace(day=1)
    if start > end:
        raise InvalidQuery([FieldError(field="end", message="must not be before `start`")])
    return start, end


MOVEMENT = ("date", "kind", "description", "invoice_number", "charge", "credit", "balance", "currency")


def _statement_rows(report: Statement) -> Iterable[list[Cell]]:
    currency = report.currency
    yield [report.start, "opening", "Opening balance", None, None, None, report.opening_balance, currency]
    for movement in report.movements:
        yield [*(getattr(movement, name) for name in MOVEMENT[:-1]), currency]
    yield [report.end, "closing", "Closing balance", None, None, None, report.closing_balance, currency]


async def dso(call: Call[None, ReportQuery]) -> web.StreamResponse:
    """Report days sales outstanding of the last twelve months, the present one last.

    It is the balance of account 1100 at the month's end, divided by what was billed in the month, times its days.
    """
    async with call.connection() as conn:
        own = await settings.current(conn, call.caller)
        currency = call.query.currency or own.currency
        today = clock.today(own.timezone, at=call.now)
        months = await actions.dso(conn, call.caller.tenant_id, currency=currency, today=today)
    if call.query.format == "csv":
        rows = [[getattr(month, name) for name in DSO] for month in months]
        return _csv(f"dso-{today}", DSO, rows)
    return call.reply(months)


DSO = DsoMonth.__struct_fields__


def _csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> web.Response:
    return _file(sheet.written(header, rows).encode(), f"{name}.csv", CSV, charset="utf-8")


def _file(body: bytes, name: str, content_type: str, *, charset: str | None = None) -> web.Response:
    return web.Response(
        body=body,
        content_type=content_type,
        charset=charset,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


CSV, PDF = "text/csv", "application/pdf"

ROUTES = (
    Route("GET", "/v1/reports/aging", aging, scope="invoices:read", query=AgingQuery, returns=Aging, also=(CSV,)),
    Route(
        "GET",
        "/v1/reports/statement",
        statement,
        scope="invoices:read",
        query=StatementQuery,
        returns=Statement,
        also=(CSV, PDF),
        refuses=(StatementCustomerUnknown,),
    ),
    Route("GET", "/v1/reports/dso", dso, scope="invoices:read", query=ReportQuery, returns=list[DsoMonth], also=(CSV,)),
)

assert AGING[:-1] == model.BUCKETS, "the sheet's columns are the buckets"
