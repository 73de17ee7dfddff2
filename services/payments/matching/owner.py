"""Asking the invoices service about an invoice whose event has not come yet."""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.payments.matching import actions, store
from services.payments.matching.store import KnownInvoice
from shared import clock
from shared.http.client import ServiceAway
from shared.money import round_half_up

if TYPE_CHECKING:
    from shared.app import Runtime


class SeenPayment(msgspec.Struct, frozen=True):
    allocation_id: UUID


class SeenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of an invoice in the invoices service's own words."""

    id: UUID
    version: int
    invoice_number: str | None
    customer_id: UUID
    customer_name: str
    currency: str
    amount: Decimal
    amount_due: Decimal
    issue_date: date
    due_date: date
    terms: str | None
    status: str
    archived_at: datetime | None
    payments: list[SeenPayment] | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: SeenInvoice


def known_invoice(seen: SeenInvoice) -> KnownInvoice:
    """What we keep of it."""
    return KnownInvoice(
        id=seen.id,
        customer_id=seen.customer_id,
        customer_name=seen.customer_name,
        number=seen.invoice_number,
        currency=seen.currency,
        amount_cents=round_half_up(seen.amount),
        due_cents=round_half_up(seen.amount_due),
        issue_date=seen.issue_date,
        due_date=seen.due_date,
        terms=seen.terms,
        status=seen.status,
        archived=seen.archived_at is not None,
        sequence=seen.version,
        counted=[payment.allocation_id for payment in seen.payments or ()],
    )


async def current(runtime: "Runtime", tenant_id: UUID, invoice_id: UUID) -> KnownInvoice | None:
    """An invoice as its owner has it now; while the owner is away, as we know it. Raises ServiceAway if we do not."""
    try:
        return await _ask(runtime, tenant_id, invoice_id)
    except ServiceAway:
        async with runtime.database.connection() as conn:
            known = await store.known(conn, tenant_id, [invoice_id])
        if invoice_id not in known:
            raise
        return known[invoice_id]


async def learn_of(runtime: "Runtime", tenant_id: UUID, invoice_ids: set[UUID]) -> dict[UUID, KnownInvoice]:
    """What is known of these invoices, after asking once for those that are not; raises ServiceAway for them."""
    async with runtime.database.connection() as conn:
        known = await store.known(conn, tenant_id, sorted(invoice_ids))
    for invoice_id in sorted(invoice_ids - known.keys()):
        invoice = await _ask(runtime, tenant_id, invoice_id)
        if invoice is not None:
            known[invoice_id] = invoice
    return known


async def _ask(runtime: "Runtime", tenant_id: UUID, invoice_id: UUID) -> KnownInvoice | None:
    answer = await runtime.internal.get("invoices", f"/internal/invoices/{invoice_id}", _Answer, tenant_id=tenant_id)
    if answer is None:
        return None
    invoice = known_invoice(answer.data)
    async with runtime.database.transaction() as conn:
        await actions.remember_invoices(conn, tenant_id, [invoice], now=clock.now())
    return invoice
