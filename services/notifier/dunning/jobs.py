"""The clock in: reminders, notices of instalments, late fees. A downtime is caught up by the latest step alone."""

import functools
from typing import Any
from uuid import UUID

import msgspec
import structlog

from services.notifier.dunning import actions, store
from services.notifier.dunning.store import Candidate, DueInstalment, PendingFee
from shared import clock
from shared.app import Runtime
from shared.db import Conn
from shared.errors import NotFound
from shared.http.client import ServiceAway, ServiceRefused
from shared.jobs import Job, one_by_one, tell
from shared.money import major

log = structlog.get_logger("dunning")

BATCH = 100


async def remind(runtime: Runtime) -> None:
    """Look at each customer whose turn it is; a transaction for each, so that one wrong one stops no other."""
    while True:
        async with runtime.database.connection() as conn:
            found = await store.candidates(conn, now=clock.now(), limit=BATCH)
        tell(await one_by_one(found, lambda who: _remind(runtime, who)))
        if len(found) < BATCH:
            return


async def _remind(runtime: Runtime, who: Candidate) -> None:
    async with runtime.database.transaction() as conn:
        await actions.remind(conn, who, now=clock.now())


async def tell_of_instalments(runtime: Runtime) -> None:
    """Tell customers of the instalments that come."""
    while True:
        async with runtime.database.transaction() as conn:
            due = await store.due_instalments(conn, today=clock.today("UTC"), limit=BATCH)
            failed = await one_by_one(due, functools.partial(_tell_of, conn))
        tell(failed)
        if len(due) < BATCH:
            return


async def _tell_of(conn: Conn, instalment: DueInstalment) -> None:
    async with conn.transaction():  # what fails takes back itself, and not the whole batch
        await actions.tell_of_instalment(conn, instalment, now=clock.now())


async def charge_late_fees(runtime: Runtime) -> None:
    """Have the invoices service make an invoice of each late fee. It answers the same fee with the same invoice."""
    async with runtime.database.connection() as conn:
        fees = await store.pending_fees(conn, limit=BATCH)
    try:
        tell(await one_by_one(fees, lambda fee: _charge(runtime, fee)))
    except ServiceAway as error:
        log.warning("late fees wait", reason=str(error))


async def _charge(runtime: Runtime, fee: PendingFee) -> None:
    try:
        made = await runtime.internal.post("invoices", "/internal/invoices", _invoice(fee), MadeAnswer)
    except (ServiceRefused, NotFound) as error:
        if isinstance(error, ServiceRefused) and error.status >= 500:
            raise  # no refusal but a mistake of ours: it is tried again
        log.error("a late fee was refused", invoice=str(fee.invoice_id), reason=str(error))
        await _settled(runtime, fee, "refused", None, str(error)[:500])
    else:
        await _settled(runtime, fee, "charged", made.data.id, None)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice of a late fee."""

    id: UUID


class MadeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the invoices service."""

    data: Made


def _invoice(fee: PendingFee) -> dict[str, Any]:
    number = fee.invoice_number or str(fee.invoice_id)
    return {
        "tenant_id": fee.tenant_id,
        "source_key": f"late-fee:{fee.invoice_id}:{fee.due_date}:{fee.days}",
        "body": {
            "customer_id": fee.customer_id,
            "currency": fee.currency,
            "memo": f"Late fee for invoice {number}",
            "line_items": [
                {
                    "description": f"Late fee for invoice {number}",
                    "line_amount": major(fee.amount_cents),
                    "taxable": False,
                }
            ],
        },
    }


async def _settled(runtime: Runtime, fee: PendingFee, status: str, invoice_id: UUID | None, reason: str | None) -> None:
    async with runtime.database.transaction() as conn:
        await store.fee_settled(conn, fee, status, invoice_id, reason)


JOBS = (
    Job("remind", every_seconds=60, run=remind),
    Job("tell_of_instalments", every_seconds=3600, run=tell_of_instalments),
    Job("charge_late_fees", every_seconds=60, run=charge_late_fees),
)
