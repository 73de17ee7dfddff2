"""The command of the payments service: apply money to invoices, or take it off (docs/accounting.md, double entry).

Idempotent on the allocation's id, whatever crashed in between; balance, status and postings change in one transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from services.invoices.ledger import actions as ledger
from services.invoices.settlement import actions, application_store
from services.invoices.settlement.applications import (
    Outcome,
    Wish,
    application_source,
    applied,
    entries,
    refusal_of,
    unapplied,
    write_off_source,
)
from services.invoices.settlement.model import Moment, Receivable
from shared.db import Conn


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation whose money is to leave its invoice."""

    tenant_id: UUID
    allocation_id: UUID


T = TypeVar("T", Wish, Reversal)


async def apply(conn: Conn, tenant_id: UUID, wishes: Sequence[Wish], *, moment: Moment) -> dict[UUID, Outcome]:
    """Apply allocations of one tenant, each decided on its own; what was decided before stays."""
    ids = [wish.allocation_id for wish in wishes]
    await application_store.lock_ids(conn, tenant_id, ids)
    known = await application_store.find(conn, tenant_id, ids)
    fresh = list({wish.allocation_id: wish for wish in wishes if wish.allocation_id not in known}.values())
    outcomes = {allocation_id: remembered.outcome for allocation_id, remembered in known.items()}
    invoices = await actions.lock(conn, tenant_id, {wish.invoice_id for wish in fresh})
    for wish in fresh:
        outcomes[wish.allocation_id] = await _apply_one(conn, wish, invoices, moment)
    return outcomes


async def _apply_one(conn: Conn, wish: Wish, invoices: dict[UUID, Receivable], moment: Moment) -> Outcome:
    before = invoices.get(wish.invoice_id)
    refusal = refusal_of(wish, before)
    if refusal is not None or before is None:
        assert refusal is not None
        await application_store.remember(conn, wish, refusal, now=moment.now)
        return refusal
    after, application = applied(before, wish, now=moment.now)
    stored = invoices[wish.invoice_id] = await actions.settle(conn, before, after, moment=moment)
    await ledger.post(conn, wish.tenant_id, *entries(stored, application), now=moment.now)
    outcome = Outcome(
        allocation_id=wish.allocation_id,
        status="applied",
        applied_cents=application.applied_cents,
        write_off_cents=application.write_off_cents,
        amount_due_cents=stored.amount_due_cents,
    )
    await application_store.remember(conn, wish, outcome, now=moment.now)
    return outcome


async def reverse(
    conn: Conn, tenant_id: UUID, allocation_ids: Sequence[UUID], *, moment: Moment
) -> dict[UUID, Outcome]:
    """Take the money of allocations off their invoices; an unknown one will never be applied any more."""
    ids = list(dict.fromkeys(allocation_ids))
    await application_store.lock_ids(conn, tenant_id, ids)
    known = await application_store.find(conn, tenant_id, ids)
    invoices = await actions.lock(conn, tenant_id, _invoices(known[i] for i in ids if i in known))
    outcomes = {}
    for allocation_id in ids:
        remembered = known.get(allocation_id)
        if remembered is None:
            await application_store.bar(conn, tenant_id, allocation_id, now=moment.now)
        elif remembered.status == "applied" and remembered.invoice_id in invoices:
            await _take_off(conn, invoices, remembered.invoice_id, allocation_id, moment)
        outcomes[allocation_id] = _reversed(allocation_id, remembered, invoices)
    return outcomes


def _invoices(remembered: Iterable[application_store.Remembered]) -> set[UUID]:
    return {one.invoice_id for one in remembered if one.invoice_id is not None and one.status == "applied"}


async def _take_off(
    conn: Conn, invoices: dict[UUID, Receivable], invoice_id: UUID, allocation_id: UUID, moment: Moment
) -> None:
    before = invoices[invoice_id]
    await application_store.mark_reversed(conn, before.tenant_id, [allocation_id], now=moment.now)
    invoices[invoice_id] = await actions.settle(conn, before, unapplied(before, allocation_id), moment=moment)
    for source in (application_source(allocation_id), write_off_source(allocation_id)):
        await ledger.reverse_source(conn, before.tenant_id, source, now=moment.now, on=moment.today)


def _reversed(
    allocation_id: UUID, remembered: application_store.Remembered | None, invoices: dict[UUID, Receivable]
) -> Outcome:
    invoice = invoices.get(remembered.invoice_id) if remembered and remembered.invoice_id else None
    return Outcome(
        allocation_id=allocation_id,
        status="reversed",
        applied_cents=remembered.outcome.applied_cents if remembered else 0,
        amount_due_cents=invoice.amount_due_cents if invoice else 0,
    )


def by_tenant(items: Iterable[T]) -> dict[UUID, list[T]]:
    """Items grouped by tenant, in the order of the tenants' ids, so that two calls cannot lock each other out."""
    groups: dict[UUID, list[T]] = defaultdict(list)
    for item in items:
        groups[item.tenant_id].append(item)
    return dict(sorted(groups.items()))
