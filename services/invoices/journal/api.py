"""HTTP: entries of the ledger and the trial balance."""

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.invoices.journal import actions, model, store
from services.invoices.journal.errors import EntryUnknown
from services.invoices.journal.model import Entry, TrialBalance
from services.invoices.settings import actions as settings
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="the tenant's own by default")]


class EntryQuery(PageQuery, frozen=True, kw_only=True):
    """Which entries."""

    account_id: UUID | None = None
    invoice_id: UUID | None = None
    payment_id: UUID | None = None
    date_start: date | None = None
    date_end: date | None = None


class BalanceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trial balance."""

    as_of: Annotated[date | None, Meta(description="the last day that counts; all entries by default")] = None
    currency: Currency | None = None


async def list_entries(call: Call[None, EntryQuery]) -> web.StreamResponse:
    """List entries of the ledger, newest first."""
    tenant_id = call.caller.tenant_id
    async with call.connection() as conn:
        return call.page(await store.page(conn, tenant_id, _where(tenant_id, call.query), call.query))


def _where(tenant_id: UUID, query: EntryQuery) -> Where:
    where = Where("tenant_id", tenant_id)
    if query.account_id is not None:
        where.add(
            "id in (select l.entry_id from journal_lines l where l.tenant_id = ? and l.account_id = ?)",
            tenant_id,
            query.account_id,
        )
    if query.invoice_id is not None:
        where.add("invoice_id = ?", query.invoice_id)
    if query.payment_id is not None:
        where.add("payment_id = ?", query.payment_id)
    if query.date_start is not None:
        where.add("entry_date >= ?", query.date_start)
    if query.date_end is not None:
        where.add("entry_date <= ?", query.date_end)
    return where


async def get_entry(call: Call[None, None]) -> web.StreamResponse:
    """Get an entry of the ledger."""
    async with call.connection() as conn:
        return call.reply(await actions.get(conn, call.caller.tenant_id, call.id("entry_id")))


async def trial_balance(call: Call[None, BalanceQuery]) -> web.StreamResponse:
    """Sum up every account. Debits and credits are always equal."""
    async with call.connection() as conn:
        currency = call.query.currency or (await settings.current(conn, call.caller)).currency
        sums = await store.sums(conn, call.caller.tenant_id, currency=currency, as_of=call.query.as_of)
    return call.reply(model.trial_balance(sums, as_of=call.query.as_of, currency=currency))


ROUTES = (
    Route("GET", "/v1/ledger/entries", list_entries, scope="invoices:read", query=EntryQuery, returns=Entry, many=True),
    Route(
        "GET", "/v1/ledger/entries/{entry_id}", get_entry, scope="invoices:read", returns=Entry, refuses=(EntryUnknown,)
    ),
    Route(
        "GET",
        "/v1/ledger/trial-balance",
        trial_balance,
        scope="invoices:read",
        query=BalanceQuery,
        returns=TrialBalance,
    ),
)
