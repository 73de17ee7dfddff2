"""HTTP: credit notes."""

from typing import Annotated
from uuid import UUID

from aiohttp import web
from msgspec import Meta

from services.invoices.credits import actions, store
from services.invoices.credits.actions import Wish
from services.invoices.credits.errors import (
    AllocatedTwice,
    AllocationExceedsDue,
    AmountAndLines,
    CreditExceedsInvoice,
    CreditExceedsUnapplied,
    CreditFullyUsed,
    CreditNoteUnknown,
    CreditNotPositive,
    CurrencyMismatch,
    InvoiceNotOpen,
    LineExceeded,
    LineShareMissing,
    LineTwice,
    LineUnknown,
    NotCreditable,
    OtherCustomer,
)
from services.invoices.credits.events import CreditNote
from services.invoices.credits.model import Allocation, LineShare
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.money import PositiveMoney, Quantity

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class LineCredit(Body, frozen=True, kw_only=True):
    """How much of a line to credit: a quantity, or an amount net of discounts and tax."""

    line_item_id: UUID
    quantity: Quantity | None = None
    amount: PositiveMoney | None = None


class CreditNoteCreate(Body, frozen=True, kw_only=True):
    """A new credit note. With neither `amount` nor `line_items` all that is left of the invoice is credited."""

    reason: Reason
    amount: Annotated[PositiveMoney | None, Meta(description="with tax")] = None
    line_items: Annotated[list[LineCredit], Meta(max_length=1000)] | None = None


class CreditAllocation(Body, frozen=True, kw_only=True):
    """How much of a credit note to put on one invoice."""

    invoice_id: UUID
    amount: PositiveMoney


class CreditApply(Body, frozen=True, kw_only=True):
    """Where to put what is left of a credit note."""

    allocations: Annotated[list[CreditAllocation], Meta(min_length=1, max_length=100)]


class CreditNoteQuery(PageQuery, frozen=True, kw_only=True):
    """Which credit notes."""

    invoice_id: Annotated[UUID | None, Meta(description="the invoice that was credited")] = None
    customer_id: UUID | None = None
    unapplied: Annotated[bool | None, Meta(description="whether something of it is not applied yet")] = None


async def create_credit_note(call: Call[CreditNoteCreate, None]) -> web.StreamResponse:
    """Credit an invoice.

    Several notes against one invoice take its tax cumulatively, so that together they equal it to the cent. What
    exceeds the amount due becomes the customer's unapplied credit.
    """
    wish = _wish(call.body)
    async with call.transaction() as conn:
        note = await actions.credit(
            conn,
            call.caller.tenant_id,
            call.id("invoice_id"),
            wish,
            actor=call.caller.actor,
            moment=await settlement.moment(conn, call.caller.tenant_id, call.now),
        )
        return call.created(note, version=note.version)


def _wish(body: CreditNoteCreate) -> Wish:
    if body.amount is not None and body.line_items:
        raise AmountAndLines(field="line_items")
    lines = [
        LineShare(line_item_id=line.line_item_id, quantity=line.quantity, amount_cents=_cents(line.amount))
        for line in body.line_items or ()
    ]
    return Wish(reason=body.reason, amount_cents=_cents(body.amount), lines=lines)


def _cents(amount: PositiveMoney | None) -> int | None:
    return None if amount is None else int(amount)


async def list_credit_notes(call: Call[None, CreditNoteQuery]) -> web.StreamResponse:
    """List credit notes."""
    where = Where("n.tenant_id", call.caller.tenant_id)
    if call.query.invoice_id is not None:
        where.add("n.invoice_id = ?", call.query.invoice_id)
    if call.query.customer_id is not None:
        where.add("n.customer_id = ?", call.query.customer_id)
    if call.query.unapplied is not None:
        where.add("(n.unapplied_cents > 0) = ?", call.query.unapplied)
    async with call.connection() as conn:
        return call.page(await store.page(conn, call.caller.tenant_id, where, call.query))


async def get_credit_note(call: Call[None, None]) -> web.StreamResponse:
    """Get a credit note."""
    async with call.connection() as conn:
        note = await actions.get(conn, call.caller.tenant_id, call.id("credit_note_id"))
    return call.reply(note, version=note.version)


async def apply_credit_note(call: Call[CreditApply, None]) -> web.StreamResponse:
    """Apply what is left of a credit note to other open invoices of the same customer."""
    allocations = [
        Allocation(invoice_id=allocation.invoice_id, amount_cents=int(allocation.amount))
        for allocation in call.body.allocations
    ]
    async with call.transaction() as conn:
        note = await actions.apply(
            conn,
            call.caller.tenant_id,
            call.id("credit_note_id"),
            allocations,
            moment=await settlement.moment(conn, call.caller.tenant_id, call.now),
        )
        return call.reply(note, version=note.version)


UNKNOWN = (CreditNoteUnknown,)

ROUTES = (
    Route(
        "POST",
        "/v1/invoices/{invoice_id}/credit-notes",
        create_credit_note,
        scope="invoices:write",
        body=CreditNoteCreate,
        returns=CreditNote,
        status=201,
        refuses=(
            InvoiceUnknown,
            NotCreditable,
            CreditFullyUsed,
            CreditExceedsInvoice,
            CreditNotPositive,
            AmountAndLines,
            LineUnknown,
            LineTwice,
            LineShareMissing,
            LineExceeded,
        ),
    ),
    Route(
        "GET",
        "/v1/credit-notes",
        list_credit_notes,
        scope="invoices:read",
        query=CreditNoteQuery,
        returns=CreditNote,
        many=True,
    ),
    Route(
        "GET",
        "/v1/credit-notes/{credit_note_id}",
        get_credit_note,
        scope="invoices:read",
        returns=CreditNote,
        refuses=UNKNOWN,
    ),
    Route(
        "POST",
        "/v1/credit-notes/{credit_note_id}/apply",
        apply_credit_note,
        scope="invoices:write",
        body=CreditApply,
        returns=CreditNote,
        refuses=(
            *UNKNOWN,
            InvoiceUnknown,
            InvoiceNotOpen,
            OtherCustomer,
            CurrencyMismatch,
            AllocatedTwice,
            AllocationExceedsDue,
            CreditExceedsUnapplied,
        ),
    ),
)
