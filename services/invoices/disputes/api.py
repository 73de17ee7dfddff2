"""HTTP: disputes."""

from typing import Annotated
from uuid import UUID

from aiohttp import web
from msgspec import Meta

from services.invoices.credits.errors import CreditExceedsInvoice, CreditFullyUsed, NotCreditable
from services.invoices.disputes import actions, store
from services.invoices.disputes.actions import Claim
from services.invoices.disputes.errors import (
    DisputeExceedsDue,
    DisputeOpen,
    DisputeResolved,
    DisputeUnknown,
    NothingToDispute,
)
from services.invoices.disputes.events import Dispute
from services.invoices.disputes.model import DisputeStatus, Resolution
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.money import PositiveMoney

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
Notes = Annotated[str, Meta(max_length=5000)]


class DisputeCreate(Body, frozen=True, kw_only=True):
    """A new dispute. Without `amount` all that is due is disputed."""

    invoice_id: UUID
    reason: Reason
    amount: PositiveMoney | None = None
    notes: Notes | None = None


class DisputeResolve(Body, frozen=True, kw_only=True):
    """How a dispute ends: `upheld` credits its amount, `rejected` leaves it owed."""

    resolution: Resolution
    notes: Notes | None = None


class DisputeQuery(PageQuery, frozen=True, kw_only=True):
    """Which disputes."""

    status: DisputeStatus | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None


async def list_disputes(call: Call[None, DisputeQuery]) -> web.StreamResponse:
    """List disputes."""
    where = Where("d.tenant_id", call.caller.tenant_id)
    if call.query.status is not None:
        where.add("d.status = ?", call.query.status)
    if call.query.invoice_id is not None:
        where.add("d.invoice_id = ?", call.query.invoice_id)
    if call.query.customer_id is not None:
        where.add("d.customer_id = ?", call.query.customer_id)
    async with call.connection() as conn:
        return call.page(await store.page(conn, where, call.query))


async def create_dispute(call: Call[DisputeCreate, None]) -> web.StreamResponse:
    """Dispute an invoice on which something is due. An invoice has at most one open dispute."""
    claim = Claim(
        invoice_id=call.body.invoice_id,
        reason=call.body.reason,
        amount_cents=None if call.body.amount is None else int(call.body.amount),
        notes=call.body.notes,
    )
    async with call.transaction() as conn:
        moment = await settlement.moment(conn, call.caller.tenant_id, call.now)
        dispute = await actions.open_(conn, call.caller.tenant_id, claim, moment=moment)
        return call.created(dispute, version=dispute.version)


async def get_dispute(call: Call[None, None]) -> web.StreamResponse:
    """Get a dispute."""
    async with call.connection() as conn:
        dispute = await actions.get(conn, call.caller.tenant_id, call.id("dispute_id"))
    return call.reply(dispute, version=dispute.version)


async def resolve_dispute(call: Call[DisputeResolve, None]) -> web.StreamResponse:
    """Resolve a dispute. Upheld, it makes a credit note of its amount against the invoice."""
    async with call.transaction() as conn:
        dispute = await actions.resolve(
            conn,
            call.caller.tenant_id,
            call.id("dispute_id"),
            call.body.resolution,
            notes=call.body.notes,
            actor=call.caller.actor,
            moment=await settlement.moment(conn, call.caller.tenant_id, call.now),
        )
        return call.reply(dispute, version=dispute.version)


UNKNOWN = (DisputeUnknown,)

ROUTES = (
    Route("GET", "/v1/disputes", list_disputes, scope="invoices:read", query=DisputeQuery, returns=Dispute, many=True),
    Route(
        "POST",
        "/v1/disputes",
        create_dispute,
        scope="invoices:write",
        body=DisputeCreate,
        returns=Dispute,
        status=201,
        refuses=(InvoiceUnknown, NothingToDispute, DisputeOpen, DisputeExceedsDue),
    ),
    Route("GET", "/v1/disputes/{dispute_id}", get_dispute, scope="invoices:read", returns=Dispute, refuses=UNKNOWN),
    Route(
        "POST",
        "/v1/disputes/{dispute_id}/resolve",
        resolve_dispute,
        scope="invoices:write",
        body=DisputeResolve,
        returns=Dispute,
        refuses=(*UNKNOWN, DisputeResolved, NotCreditable, CreditFullyUsed, CreditExceedsInvoice),
    ),
)
