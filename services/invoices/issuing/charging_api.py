"""What the notifier asks for: a late fee as an invoice of its own, never an edit of the one that is late."""

from typing import Annotated, Any
from uuid import UUID, uuid5

import msgspec
from aiohttp import web
from msgspec import Meta

from services.invoices.issuing import actions, model, store
from services.invoices.issuing.api import moment_of
from services.invoices.issuing.model import Facts
from services.invoices.issuing.requests import InvoiceCreate
from services.invoices.settlement import store as receivables
from services.invoices.settlement.events import Invoice, invoice_of
from services.invoices.settlement.model import Moment, Receivable
from shared.db import Conn
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.routes import Route


class Charge(Body, frozen=True, kw_only=True):
    """An invoice to be made once for its `source_key`."""

    tenant_id: UUID
    source_key: Annotated[str, Meta(min_length=1, max_length=200)]
    body: InvoiceCreate


async def charge(call: Call[Charge, None]) -> web.StreamResponse:
    """Make an invoice. The same `source_key` again gives the same invoice: its id follows from the key."""
    tenant_id, invoice_id = call.body.tenant_id, uuid5(call.body.tenant_id, call.body.source_key)
    async with call.transaction() as conn:
        facts = await store.load_facts(conn, tenant_id, actions.names([call.body.body]))
        moment = moment_of(call, facts)
        await store.take_turn(conn, invoice_id)
        made = await receivables.find(conn, tenant_id, invoice_id)
        made = made or await _make(conn, call, facts, moment, invoice_id)
        return call.reply(invoice_of(made, moment.today), version=made.version)


async def _make(conn: Conn, call: Call[Any, Any], facts: Facts, moment: Moment, invoice_id: UUID) -> Receivable:
    invoice = model.new_invoice(call.body.tenant_id, call.body.body, facts, moment=moment, invoice_id=invoice_id)
    (made,) = await actions.create(conn, [actions.making(invoice, facts, moment=moment)])
    assert made.refusal is None, "a charge brings no number of its own that could be taken"
    return msgspec.structs.replace(invoice, invoice_number=made.invoice_number)


ROUTES = (Route("POST", "/internal/invoices", charge, internal=True, body=Charge, returns=Invoice),)
