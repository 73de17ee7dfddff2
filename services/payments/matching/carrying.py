"""Carrying out what was intended: ask the invoices service outside of any transaction, then write down its answers.

May be begun again at any point, by this process or another: the command is idempotent by allocation id, and an answer
that was written down before changes nothing.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import structlog

from services.payments.intake import store as intake_store
from services.payments.intake.model import Allocation, Payment, State
from services.payments.matching import actions, command
from shared import clock
from shared.http.client import ServiceAway, ServiceRefused

if TYPE_CHECKING:
    from shared.app import Runtime

T = TypeVar("T")
log = structlog.get_logger(__name__)


async def carry_out(runtime: "Runtime", tenant_id: UUID, payment_ids: Sequence[UUID]) -> list[Allocation]:
    """Settle whatever these payments have outstanding; what the invoices service does not answer stays outstanding.

    First what is to be taken back, so that the money is free for what is to be applied. Returns what was answered.
    """
    answered: list[Allocation] = []
    try:
        for some in _some(payment_ids):
            answered += await _reverse(runtime, tenant_id, await _load(runtime, tenant_id, some))
            answered += await _apply(runtime, tenant_id, await _load(runtime, tenant_id, some))
    except ServiceAway:
        log.warning("invoices is away; matches stay pending", tenant=str(tenant_id))
    except ServiceRefused as refusal:
        log.error("invoices refused a command", tenant=str(tenant_id), error=str(refusal))
    return answered


async def _load(runtime: "Runtime", tenant_id: UUID, payment_ids: Sequence[UUID]) -> list[Payment]:
    async with runtime.database.connection() as conn:
        return await intake_store.find(conn, tenant_id, payment_ids)


async def _reverse(runtime: "Runtime", tenant_id: UUID, payments: Sequence[Payment]) -> list[Allocation]:
    outstanding = [a for payment in payments for a in payment.allocations if a.state is State.REVERSING]
    answered: list[Allocation] = []
    for some in _some(outstanding):
        results = await command.reverse(runtime.internal, tenant_id, some)
        answered += await _record(runtime, tenant_id, some, results)
    return answered


async def _apply(runtime: "Runtime", tenant_id: UUID, payments: Sequence[Payment]) -> list[Allocation]:
    outstanding = [(payment, a) for payment in payments for a in payment.allocations if a.state is State.PENDING]
    answered: list[Allocation] = []
    for some in _some(outstanding):
        results = await command.apply(runtime.internal, tenant_id, some)
        answered += await _record(runtime, tenant_id, [allocation for _, allocation in some], results)
    return answered


async def _record(
    runtime: "Runtime", tenant_id: UUID, asked: Sequence[Allocation], results: Sequence[command.Result]
) -> list[Allocation]:
    async with runtime.database.transaction() as conn:
        return await actions.record(conn, tenant_id, asked, results, now=clock.now())


def _some(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one command takes."""
    for start in range(0, len(items), command.MAX_ITEMS):
        yield items[start : start + command.MAX_ITEMS]
