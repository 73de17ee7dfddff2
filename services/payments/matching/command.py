"""The command to the invoices service: put money on invoices, take it off again. Idempotent by allocation id."""

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from services.payments.intake.model import Allocation, Payment, State
from shared.http.client import InternalClient

MAX_ITEMS = 500


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """So much of a payment for an invoice; not `exact`: as much of it as is due."""

    allocation_id: UUID
    tenant_id: UUID
    payment_id: UUID
    invoice_id: UUID
    amount_cents: int
    write_off_cents: int
    currency: str
    payment_date: date
    payment_method: str | None
    payer_name: str | None
    payer_reference: str | None
    exact: bool


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    allocation_id: UUID


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the invoices service answered about one item."""

    allocation_id: UUID
    status: Literal["applied", "reversed", "refused"]
    applied_cents: int | None = None
    write_off_cents: int | None = None
    amount_due_cents: int | None = None
    code: str | None = None
    detail: str | None = None


class _Results(msgspec.Struct, frozen=True):
    results: list[Result]


async def apply(
    internal: InternalClient, tenant_id: UUID, wanted: Sequence[tuple[Payment, Allocation]]
) -> list[Result]:
    """Ask for allocations to be applied; raises ServiceAway, ServiceRefused."""
    applications = [_application(tenant_id, payment, allocation) for payment, allocation in wanted]
    answer = await internal.post("invoices", "/internal/applications", {"applications": applications}, _Results)
    return answer.results


async def reverse(internal: InternalClient, tenant_id: UUID, allocations: Sequence[Allocation]) -> list[Result]:
    """Ask for allocations to be taken back; raises ServiceAway, ServiceRefused."""
    reversals = [Reversal(tenant_id=tenant_id, allocation_id=allocation.id) for allocation in allocations]
    answer = await internal.post("invoices", "/internal/applications/reverse", {"reversals": reversals}, _Results)
    return answer.results


def _application(tenant_id: UUID, payment: Payment, allocation: Allocation) -> Application:
    return Application(
        allocation_id=allocation.id,
        tenant_id=tenant_id,
        payment_id=payment.id,
        invoice_id=allocation.invoice_id,
        amount_cents=allocation.amount_cents,
        write_off_cents=allocation.write_off_cents,
        currency=payment.currency,
        payment_date=payment.payment_date,
        payment_method=payment.payment_method,
        payer_name=payment.payer_name,
        payer_reference=payment.payer_reference,
        exact=allocation.exact,
    )


def outcome(allocation: Allocation, result: Result) -> Allocation:
    """The allocation as it stands after the answer; `updated_at` is the caller's to set."""
    if result.status == "applied":
        applied = allocation.amount_cents if result.applied_cents is None else result.applied_cents
        lost = allocation.write_off_cents if result.write_off_cents is None else result.write_off_cents
        return msgspec.structs.replace(
            allocation,
            state=State.APPLIED,
            applied_cents=applied,
            write_off_cents=lost,
            invoice_due_cents=result.amount_due_cents,
        )
    if result.status == "reversed":
        return msgspec.structs.replace(allocation, state=State.REVERSED, invoice_due_cents=result.amount_due_cents)
    if allocation.state is State.REVERSING:
        return msgspec.structs.replace(
            allocation, state=State.APPLIED, refusal_code=result.code, refusal_detail=result.detail
        )
    return msgspec.structs.replace(
        allocation,
        state=State.REFUSED,
        write_off_cents=0,
        invoice_due_cents=result.amount_due_cents,
        refusal_code=result.code,
        refusal_detail=result.detail,
    )
