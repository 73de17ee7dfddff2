"""Reading invoices."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec import Meta

from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.events import Invoice
from services.invoices.settlement.model import Status
from services.invoices.views import store
from services.invoices.views.reading import Reading, Wanted
from shared.errors import FieldError, InvalidQuery
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.money import Money

READ = "invoices:read"


class InvoiceQuery(PageQuery, frozen=True, kw_only=True):
    """What to list."""

    status: Annotated[list[Status], Meta(description="one or several, separated by commas")] | None = None
    customer_id: UUID | None = None
    invoice_number: Annotated[str, Meta(max_length=64)] | None = None
    tag: Annotated[str, Meta(max_length=100)] | None = None
    category: Annotated[str, Meta(max_length=500)] | None = None
    project: Annotated[str, Meta(max_length=500)] | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None
    issue_date_start: date | None = None
    issue_date_end: date | None = None
    due_date_start: date | None = None
    due_date_end: date | None = None
    created_at_start: Annotated[str, Meta(description="an instant, or a day in the tenant's time zone")] | None = None
    created_at_end: Annotated[str, Meta(description="an instant, or a day, which is included")] | None = None
    amount_min: Money | None = None
    amount_max: Money | None = None
    archived: Literal["false", "true", "any"] = "false"
    search: Annotated[str, Meta(max_length=200, description="in number, customer name, memo and notes")] | None = None


CONDITIONS = (
    ("customer_id", "i.customer_id = ?"),
    ("invoice_number", "i.invoice_number = ?"),
    ("category", "i.category = ?"),
    ("project", "i.project = ?"),
    ("currency", "i.currency = ?"),
    ("issue_date_start", "i.issue_date >= ?"),
    ("issue_date_end", "i.issue_date <= ?"),
    ("due_date_start", "i.due_date >= ?"),
    ("due_date_end", "i.due_date <= ?"),
    ("amount_min", "i.amount_cents >= ?"),
    ("amount_max", "i.amount_cents <= ?"),
)
"""Filters that compare one column."""

SLOW = (*(name for name, _ in CONDITIONS), "tag", "search", "created_at_start", "created_at_end")
"""Filters that may pass over many rows."""
QUICK_PAGES = 10

COUNT = "select coalesce(sum(c.invoices), 0)::bigint from invoice_counts c where "
"""How many invoices there are, from the counts that are kept rather than by counting."""


async def get_invoice(call: Call[None, None]) -> web.StreamResponse:
    """An invoice with its line items, taxes, tags and payments."""
    invoice_id = call.id("invoice_id")
    wanted = Wanted(call.caller.tenant_id, invoice_id, call.caller.timezone, call.now)
    found = await call.runtime.use(Reading).find(wanted)
    if found is None:
        raise InvoiceUnknown(invoice_id=invoice_id)
    return call.reply(found.json, version=found.version)


async def list_invoices(call: Call[None, InvoiceQuery]) -> web.StreamResponse:
    """Invoices, newest first, without line items and payments."""
    tenant_id = call.caller.tenant_id
    timezone, reading = call.caller.timezone, call.runtime.use(Reading)
    if _is_quick(call.query):
        where, count = _where(tenant_id, call.query, timezone)
        return call.page(
            await reading.page(reading.together, where, call.query, count=count, timezone=timezone, now=call.now)
        )
    async with call.connection() as conn:
        timezone = await store.timezone(conn, tenant_id) or timezone
        where, count = _where(tenant_id, call.query, timezone)
        return call.page(await reading.page(conn, where, call.query, count=count, timezone=timezone, now=call.now))


ROUTES = (
    Route("GET", "/v1/invoices", list_invoices, scope=READ, query=InvoiceQuery, returns=Invoice, many=True),
    Route("GET", "/v1/invoices/{invoice_id}", get_invoice, scope=READ, returns=Invoice, refuses=(InvoiceUnknown,)),
)


def _statuses(query: InvoiceQuery) -> list[str] | None:
    return None if query.status is None else list(dict.fromkeys(query.status))


def _is_quick(query: InvoiceQuery) -> bool:
    """Whether an index has the rows in order and few of them are passed over: nobody minds waiting for such a list."""
    return (
        all(getattr(query, name) is None for name in SLOW)
        and query.archived != "true"
        and len(_statuses(query) or ()) <= 1
        and query.sort in (None, "created_at")
        and (query.page or 1) <= QUICK_PAGES
    )


def _where(tenant_id: UUID, query: InvoiceQuery, timezone: str) -> tuple[Where, str | None]:
    """The conditions of a list, and the statement of its total where the kept counts know it."""
    where, counts = Where("i.tenant_id", tenant_id), Where("c.tenant_id", tenant_id)
    _kept(where, counts, query)
    plain = where.sql
    for name, condition in CONDITIONS:
        value = getattr(query, name)
        if value is not None:
            where.add(condition, int(value) if isinstance(value, Money) else value)
    if query.tag is not None:
        where.add("i.tags @> array[?]::text[] and i.tags <> '{}'", query.tag)
    _created(where, query, timezone)
    _search(where, query.search)
    return where, COUNT + counts.sql if where.sql == plain else None


def _kept(where: Where, counts: Where, query: InvoiceQuery) -> None:
    """The conditions that counts are kept for, with the same parameters for both."""
    statuses = _statuses(query)
    if statuses is not None and len(statuses) == 1:
        where.add("i.status = ?", statuses[0])  # an index has these in order; with several it does not
        counts.add("c.status = ?", statuses[0])
    elif statuses is not None:
        where.add("i.status = any(?)", statuses)
        counts.add("c.status = any(?)", statuses)
    if query.archived != "any":
        where.add("i.archived_at is not null" if query.archived == "true" else "i.archived_at is null")
        counts.add("c.archived" if query.archived == "true" else "not c.archived")


def _created(where: Where, query: InvoiceQuery, timezone: str) -> None:
    if query.created_at_start is not None:
        where.add("i.created_at >= ?", _instant(query.created_at_start, "created_at_start", timezone)[0])
    if query.created_at_end is not None:
        instant, whole_day = _instant(query.created_at_end, "created_at_end", timezone)
        where.add("i.created_at < ?" if whole_day else "i.created_at <= ?", instant)


def _instant(text: str, field: str, timezone: str) -> tuple[datetime, bool]:
    """An instant, or the bound of a day in the tenant's time zone, and whether it was a day."""
    try:
        if len(text) > len("2026-01-31"):
            instant = datetime.fromisoformat(text.replace(" ", "+"))  # a bare + in an address is a space
            return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC), False
        day = date.fromisoformat(text) + timedelta(days=field.endswith("_end"))
        return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC), True
    except (ValueError, OverflowError):
        raise InvalidQuery([FieldError(field=field, message="must be a date or an instant")]) from None


def _search(where: Where, text: str | None) -> None:
    if text is None or not text.strip():
        return
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    where.add(
        "i.invoice_number ilike ? or i.customer_name ilike ? or i.memo ilike ? or i.notes ilike ?",
        *[f"%{escaped}%"] * 4,
    )
