"""Asking the invoices service about an invoice whose event has not come yet."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from services.payments.matching import store
from services.payments.matching.store import KnownInvoice
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


class SeenAccount(msgspec.Struct, frozen=True):
    """An account of the ledger that may be paid into."""

    id: UUID
    archived_at: datetime | None = None


class _AccountAnswer(msgspec.Struct, frozen=True):
    data: SeenAccount


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


async def news_of(runtime: "Runtime", tenant_id: UUID, wanted: Mapping[UUID, int]) -> list[KnownInvoice]:
    """What the owner says of the invoices that, as we know them, could not take so many cents; for the caller to keep.

    An event may be on its way, so nobody is refused before the owner was asked. While the owner is away, what we know
    counts; raises ServiceAway where we know nothing.
    """
    async with runtime.database.connection() as conn:
        known = await store.known(conn, tenant_id, list(wanted))
    doubtful = [invoice_id for invoice_id, cents in wanted.items() if not _takes(known.get(invoice_id), cents)]
    asked = [await current(runtime, tenant_id, invoice_id) for invoice_id in doubtful]
    return [invoice for invoice in asked if invoice is not None]


async def has_account(runtime: "Runtime", tenant_id: UUID, account_id: UUID) -> bool:
    """Whether the tenant's ledger has an account that may be posted to."""
    path = f"/internal/accounts/{account_id}"
    answer = await runtime.internal.get("invoices", path, _AccountAnswer, tenant_id=tenant_id)
    return answer is not None and answer.data.archived_at is None


def _takes(invoice: KnownInvoice | None, cents: int) -> bool:
    return invoice is not None and invoice.is_payable and invoice.free_cents >= cents


async def _ask(runtime: "Runtime", tenant_id: UUID, invoice_id: UUID) -> KnownInvoice | None:
    answer = await runtime.internal.get("invoices", f"/internal/invoices/{invoice_id}", _Answer, tenant_id=tenant_id)
    return known_invoice(answer.data) if answer else None
