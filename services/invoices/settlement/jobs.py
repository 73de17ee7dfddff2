"""What the clock does to balances."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import structlog

from services.invoices.settlement import actions, clock_store
from services.invoices.settlement.model import Moment
from shared import clock
from shared.app import Runtime
from shared.jobs import AWAY, Job, one_by_one, tell

log = structlog.get_logger("clock")

BATCH = 200
"""Invoices that turn overdue in one transaction."""


async def mark_overdue(runtime: Runtime) -> None:
    """Let what passed its due date become overdue, also what was missed while nobody ran."""
    while await _mark_some(runtime):
        pass


async def _mark_some(runtime: Runtime) -> bool:
    """A batch of invoices; where one of them breaks our rules, each by itself, so that it holds up no other."""
    async with runtime.database.connection() as conn:
        found = await clock_store.turning_overdue(conn, BATCH)
    try:
        await _mark(runtime, found)
    except AWAY:
        raise
    except Exception:
        log.exception("a batch of invoices could not become overdue")
        single = [{owner: [invoice_id]} for owner, invoice_ids in found.items() for invoice_id in invoice_ids]
        tell(await one_by_one(single, lambda one: _mark(runtime, one)))
    return bool(found)


async def _mark(runtime: Runtime, found: Mapping[tuple[UUID, date], Sequence[UUID]]) -> None:
    """Each is locked and worked out again, so that a payment at the same moment is not lost."""
    async with runtime.database.transaction() as conn:
        for (tenant_id, today), invoice_ids in sorted(found.items()):
            moment = Moment(now=clock.now(), today=today)
            for invoice in (await actions.lock(conn, tenant_id, invoice_ids)).values():
                await actions.settle(conn, invoice, invoice, moment=moment)


async def fold_counts(runtime: Runtime) -> None:
    """Keep the exact totals of lists cheap to read."""
    async with runtime.database.transaction() as conn:
        await clock_store.fold_counts(conn)


JOBS = (
    Job("mark_overdue", every_seconds=60, run=mark_overdue),
    Job("fold_invoice_counts", every_seconds=5, run=fold_counts),
)
