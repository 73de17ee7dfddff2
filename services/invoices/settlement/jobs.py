"""What the clock does to balances."""

from services.invoices.settlement import actions, clock_store
from services.invoices.settlement.model import Moment
from shared import clock
from shared.app import Runtime
from shared.jobs import Job

BATCH = 200
"""Invoices that turn overdue in one transaction."""


async def mark_overdue(runtime: Runtime) -> None:
    """Let what passed its due date become overdue, also what was missed while nobody ran."""
    while await _mark_some(runtime):
        pass


async def _mark_some(runtime: Runtime) -> bool:
    """A batch of invoices. Each is locked and worked out again, so that a payment at the same moment is not lost."""
    async with runtime.database.transaction() as conn:
        found = await clock_store.turning_overdue(conn, BATCH)
        for (tenant_id, today), invoice_ids in sorted(found.items()):
            moment = Moment(now=clock.now(), today=today)
            for invoice in (await actions.lock(conn, tenant_id, invoice_ids)).values():
                await actions.settle(conn, invoice, invoice, moment=moment)
    return bool(found)


async def fold_counts(runtime: Runtime) -> None:
    """Keep the exact totals of lists cheap to read."""
    async with runtime.database.transaction() as conn:
        await clock_store.fold_counts(conn)


JOBS = (
    Job("mark_overdue", every_seconds=60, run=mark_overdue),
    Job("fold_invoice_counts", every_seconds=5, run=fold_counts),
)
