"""The commands that the payments service gives; only its signed token may."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.invoices.settlement import actions, applying
from services.invoices.settlement.applications import Outcome, Wish
from services.invoices.settlement.applying import Reversal
from services.invoices.settlement.events import Invoice, invoice_of
from shared.http.calls import Call
from shared.http.routes import BULK_BYTES, Route

MAX_ITEMS = 500


class Applications(msgspec.Struct, frozen=True, kw_only=True):
    """Allocations to apply."""

    applications: Annotated[list[Wish], Meta(max_length=MAX_ITEMS)]


class Reversals(msgspec.Struct, frozen=True, kw_only=True):
    """Allocations to take off."""

    reversals: Annotated[list[Reversal], Meta(max_length=MAX_ITEMS)]


async def apply(call: Call[Applications, None]) -> web.StreamResponse:
    """Apply money of payments to invoices, each allocation decided on its own."""
    outcomes: dict[Any, Outcome] = {}
    async with call.transaction() as conn:
        for tenant_id, wishes in applying.by_tenant(call.body.applications).items():
            moment = await actions.moment(conn, tenant_id, call.now)
            outcomes |= await applying.apply(conn, tenant_id, wishes, moment=moment)
        return call.answer({"results": [outcomes[wish.allocation_id] for wish in call.body.applications]})


async def reverse(call: Call[Reversals, None]) -> web.StreamResponse:
    """Take money of payments off invoices again."""
    outcomes: dict[Any, Outcome] = {}
    async with call.transaction() as conn:
        for tenant_id, reversals in applying.by_tenant(call.body.reversals).items():
            moment = await actions.moment(conn, tenant_id, call.now)
            ids = [reversal.allocation_id for reversal in reversals]
            outcomes |= await applying.reverse(conn, tenant_id, ids, moment=moment)
        return call.answer({"results": [outcomes[reversal.allocation_id] for reversal in call.body.reversals]})


class TenantQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose invoice."""

    tenant_id: UUID


async def find(call: Call[None, TenantQuery]) -> web.StreamResponse:
    """An invoice for a service that its event has not reached yet."""
    async with call.connection() as conn:
        invoice = await actions.find(conn, call.query.tenant_id, call.id("invoice_id"))
        moment = await actions.moment(conn, call.query.tenant_id, call.now)
    return call.reply(invoice_of(invoice, moment.today))


ROUTES = (
    Route("GET", "/internal/invoices/{invoice_id}", find, internal=True, query=TenantQuery, returns=Invoice),
    Route("POST", "/internal/applications", apply, internal=True, body=Applications, max_bytes=BULK_BYTES),
    Route("POST", "/internal/applications/reverse", reverse, internal=True, body=Reversals, max_bytes=BULK_BYTES),
)
