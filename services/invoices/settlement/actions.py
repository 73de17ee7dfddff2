"""The one place that writes an invoice's balance and status, and tells about it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.settlement import events, store
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.events import INVOICE_OVERDUE, INVOICE_PAID, Invoice
from services.invoices.settlement.model import Moment, Receivable, balanced
from shared import clock, outbox
from shared.db import Conn
from shared.events import EventType

TELLING = {"paid": INVOICE_PAID, "overdue": INVOICE_OVERDUE}
"""Statuses that have an event of their own when an invoice reaches them."""


async def lock(conn: Conn, tenant_id: UUID, invoice_ids: Collection[UUID]) -> dict[UUID, Receivable]:
    """Invoices by id, locked in the order of their ids; unknown ones are absent."""
    return await store.lock(conn, tenant_id, list(invoice_ids))


async def lock_one(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Receivable:
    """One invoice, locked; raises InvoiceUnknown."""
    found = await store.lock(conn, tenant_id, [invoice_id])
    if invoice_id not in found:
        raise InvoiceUnknown(invoice_id=invoice_id)
    return found[invoice_id]


async def find(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Receivable:
    """One invoice; raises InvoiceUnknown."""
    invoice = await store.find(conn, tenant_id, invoice_id)
    if invoice is None:
        raise InvoiceUnknown(invoice_id=invoice_id)
    return invoice


async def settle(
    conn: Conn,
    before: Receivable,
    after: Receivable,
    *,
    moment: Moment,
    also: Sequence[EventType[Invoice]] = (),
) -> Receivable:
    """Store a locked invoice whose facts changed, with the due amount and status that follow, and announce it.

    `also` are further events about the same change. Where nothing changed, nothing is written and nothing is told.
    """
    settled = balanced(after, moment.today)
    if settled == before:
        return before
    stored = msgspec.structs.replace(settled, version=before.version + 1, updated_at=moment.now)
    await store.save(conn, stored)
    if stored.lines != before.lines:
        await store.replace_lines(conn, stored)
    await _announce(conn, before, stored, moment, also)
    return stored


async def _announce(
    conn: Conn, before: Receivable, after: Receivable, moment: Moment, also: Sequence[EventType[Invoice]]
) -> None:
    invoice = events.invoice_of(after, moment.today)
    kinds = [*also]
    if after.status != before.status and after.status in TELLING:
        kinds.append(TELLING[after.status])
    await outbox.put(
        conn,
        events.updated(after.tenant_id, events.invoice_of(before, moment.today), invoice),
        *(events.announce(kind, after.tenant_id, invoice) for kind in kinds),
    )


async def moment(conn: Conn, tenant_id: UUID, now: datetime) -> Moment:
    """When this is for the tenant."""
    return Moment(now=now, today=clock.today(await store.timezone(conn, tenant_id), at=now))
