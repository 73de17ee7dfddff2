"""The end of a customer: what is open, closing it by force, and removing what belonged to it."""

from decimal import Decimal
from uuid import UUID

import msgspec

from services.invoices.issuing import actions, changes, errors, store
from services.invoices.recipients import store as recipients
from services.invoices.settlement import actions as settlement
from services.invoices.settlement import applying
from services.invoices.settlement.model import Moment, Receivable
from shared.clock import now
from shared.db import Conn
from shared.events import Event
from shared.money import major


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer still owes."""

    open_invoices: int
    amount_due: Decimal


class Unapplied(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation whose money left its invoice."""

    payment_id: UUID
    allocation_id: UUID


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """What closing a customer did."""

    cancelled: int
    unapplied: list[Unapplied]


async def balance(conn: Conn, tenant_id: UUID, customer_id: UUID) -> Balance:
    """What is open of a customer."""
    count, due_cents = await store.open_of(conn, tenant_id, customer_id)
    return Balance(open_invoices=count, amount_due=major(due_cents))


async def close(conn: Conn, tenant_id: UUID, customer_id: UUID, *, moment: Moment) -> Closed:
    """Take the payments off all open invoices of a customer, then void them; doing it again does nothing more."""
    ids = await store.open_ids(conn, tenant_id, customer_id)
    invoices = await settlement.lock(conn, tenant_id, ids)
    unapplied = [
        Unapplied(payment_id=one.payment_id, allocation_id=one.allocation_id)
        for invoice in invoices.values()
        for one in invoice.applications
    ]
    await applying.reverse(conn, tenant_id, [one.allocation_id for one in unapplied], moment=moment)
    bare = await settlement.lock(conn, tenant_id, ids)
    cancelled = [await _void(conn, invoice, moment) for invoice in bare.values()]
    return Closed(cancelled=sum(cancelled), unapplied=unapplied)


async def _void(conn: Conn, invoice: Receivable, moment: Moment) -> bool:
    """Void an invoice; one with credit notes on it, which cannot be voided, is written off instead."""
    if not invoice.is_open:  # settled or voided by somebody else since they were looked up
        return False
    try:
        after = changes.voided(invoice)
    except errors.HasCredits:
        after = changes.written_off(invoice)
    await actions.change(conn, invoice, after, moment=moment, why="customer deleted")
    return after.status == "cancelled"


async def erase(conn: Conn, event: Event) -> None:
    """Remove all that belonged to a deleted customer; the journal keeps its entries, which name no person."""
    await recipients.forget(conn, event.tenant_id, event.subject, sequence=event.sequence, now=now())
    await store.erase_customer(conn, event.tenant_id, event.subject)
