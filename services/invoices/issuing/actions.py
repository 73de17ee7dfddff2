"""Making invoices and changing them: number, store, post, announce, all in the caller's transaction."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.issuing import errors, events, store
from services.invoices.issuing.model import Facts
from services.invoices.issuing.requests import InvoiceCreate, InvoicePatch, LineCreate, LineItemsReplace, LinePatch
from services.invoices.issuing.store import Made, Making, Names
from services.invoices.ledger import actions as ledger
from services.invoices.ledger.model import Entry, Kind, Movement, external_entry, issue_entry, write_off_entry
from services.invoices.numbering.store import next_number
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.events import (
    INVOICE_CREATED,
    INVOICE_ISSUED,
    INVOICE_VOIDED,
    Invoice,
    invoice_of,
)
from services.invoices.settlement.model import Moment, Receivable, billed, external
from shared import outbox
from shared.db import Conn, will_announce
from shared.events import EventType, NewEvent
from shared.http.calls import encode
from shared.ids import uuid7

ALL_KINDS: tuple[Kind, ...] = ("issue", "external", "write_off")
"""Entries that a void mirrors; payments and credits must have left the invoice before."""


def names(bodies: Iterable[InvoiceCreate]) -> Names:
    """What requests for new invoices name."""
    bodies = list(bodies)
    lines: list[LineCreate | LinePatch] = [line for body in bodies for line in body.line_items or ()]
    rates = frozenset(rate for body in bodies for rate in body.tax_rate_ids or ())
    found = _names_of_lines(lines)
    return msgspec.structs.replace(
        found, customers=frozenset(body.customer_id for body in bodies), rates=found.rates | rates
    )


def names_of_patch(body: InvoicePatch | LineItemsReplace) -> Names:
    """What a change of an invoice names."""
    lines = body.line_items if isinstance(body.line_items, list) else []
    rates = frozenset(body.tax_rate_ids) if isinstance(body.tax_rate_ids, list) else frozenset()
    found = _names_of_lines(lines)
    customer_id = body.customer_id if isinstance(body, InvoicePatch) else None
    customers = frozenset({customer_id}) if isinstance(customer_id, UUID) else frozenset[UUID]()
    return msgspec.structs.replace(found, customers=customers, rates=found.rates | rates)


def _names_of_lines(lines: Sequence[LineCreate | LinePatch]) -> Names:
    def named(name: str) -> frozenset[UUID]:
        return frozenset(found for line in lines if isinstance(found := getattr(line, name), UUID))

    return Names(products=named("product_id"), rates=named("tax_rate_id"), accounts=named("account_id"))


def making(invoice: Receivable, facts: Facts, *, moment: Moment, generate_pdf: bool = False) -> Making:
    """A new invoice with its number's prefix, its postings and its events; shown once, for all of them."""
    shown = msgspec.Raw(encode(invoice_of(invoice, moment.today)))
    return Making(
        invoice=invoice,
        shown=shown,
        number_prefix=facts.settings.prefix_for(invoice),
        entries=entries_of(invoice) if invoice.is_issued else (),
        events=tuple(_first_events(invoice, shown, generate_pdf=generate_pdf)),
    )


async def create(conn: Conn, makings: Sequence[Making]) -> list[Made]:
    """Make invoices in the caller's transaction; each is made or refused on its own."""
    made = await store.create(conn, makings)
    will_announce(conn)
    return made


def numbered(making: Making, made: Made) -> msgspec.Raw:
    """What the API shows of an invoice that was made; raises NumberTaken."""
    if made.refusal == errors.NumberTaken.code:
        raise errors.NumberTaken(number=making.invoice.invoice_number, field="invoice_number")
    assert made.refusal is None, made.refusal
    return shown(making, made.invoice_number)


def entries_of(invoice: Receivable) -> tuple[Entry, ...]:
    """What issuing an invoice posts."""
    paid = (external_entry(external(invoice)),) if invoice.external_payment_cents else ()
    return (issue_entry(billed(invoice)), *paid)


def shown(made: Making, number: str | None) -> msgspec.Raw:
    """What the API shows of a new invoice, once its number is known; the database fills it into the events likewise."""
    if made.invoice.invoice_number == number:
        return made.shown
    return msgspec.Raw(bytes(made.shown).replace(b'"invoice_number":null', b'"invoice_number":' + encode(number), 1))


def _first_events(invoice: Receivable, data: msgspec.Raw, *, generate_pdf: bool) -> list[NewEvent]:
    kinds = [INVOICE_CREATED]
    if invoice.is_issued:
        kinds.append(INVOICE_ISSUED)
    if invoice.status in settlement.TELLING:
        kinds.append(settlement.TELLING[invoice.status])
    requests = [events.pdf_requested(invoice.tenant_id, invoice.id)] if generate_pdf else []
    return [*(_announced(kind, invoice, data) for kind in kinds), *requests]


def _announced(kind: EventType[Invoice], invoice: Receivable, data: msgspec.Raw) -> NewEvent:
    return NewEvent(type=kind, tenant_id=invoice.tenant_id, subject=invoice.id, sequence=invoice.version, data=data)


async def change(
    conn: Conn,
    before: Receivable,
    after: Receivable,
    *,
    moment: Moment,
    also: Sequence[EventType[Invoice]] = (),
    why: str = "",
) -> Receivable:
    """Store what a locked invoice became, number it when it is issued, and bring its postings up to it."""
    kinds = list(also)
    if before.status == "draft" and after.is_issued:
        after = await _numbered(conn, after)
        kinds.append(INVOICE_ISSUED)
    if before.status != "cancelled" and after.status == "cancelled":
        kinds.append(INVOICE_VOIDED)
    try:
        stored = await settlement.settle(conn, before, after, moment=moment, also=kinds)
    except asyncpg.UniqueViolationError as error:
        raise store.taken(error, after.invoice_number) from error
    await _post(conn, before, stored, moment, why)
    return stored


async def _numbered(conn: Conn, invoice: Receivable) -> Receivable:
    if invoice.invoice_number is not None:
        return invoice
    facts = await store.load_facts(conn, invoice.tenant_id, Names())
    prefix, year = facts.settings.invoice_prefix, invoice.issue_date.year
    number = await next_number(conn, invoice.tenant_id, "invoice", prefix=prefix, year=year)
    return msgspec.structs.replace(invoice, invoice_number=number)


async def _post(conn: Conn, before: Receivable, after: Receivable, moment: Moment, why: str) -> None:
    if before.is_issued and after.status == "cancelled":
        await _reverse(conn, after, ALL_KINDS, moment, today=True)
    elif before.is_issued:
        await _repost(conn, before, after, moment, why)
    elif after.is_issued:
        await ledger.post(conn, after.tenant_id, *entries_of(after), now=moment.now)


async def _repost(conn: Conn, before: Receivable, after: Receivable, moment: Moment, why: str) -> None:
    """The mirror image of the old posting, then the new one; what did not change stays."""
    entries: list[Entry] = []
    if _bill(before) != _bill(after):
        await _reverse(conn, after, ("issue",), moment)
        entries.append(issue_entry(billed(after)))
    if before.external_payment_cents != after.external_payment_cents:
        await _reverse(conn, after, ("external",), moment)
        entries += [external_entry(external(after))] if after.external_payment_cents else []
    if after.written_off_cents > before.written_off_cents:
        entries.append(_write_off(before, after, moment, why))
    await ledger.post(conn, after.tenant_id, *entries, now=moment.now)


def _bill(invoice: Receivable) -> object:
    return msgspec.structs.replace(billed(invoice), version=0)


async def _reverse(
    conn: Conn, invoice: Receivable, kinds: Sequence[Kind], moment: Moment, *, today: bool = False
) -> None:
    on = moment.today if today else None
    await ledger.reverse(conn, invoice.tenant_id, invoice.id, kinds, now=moment.now, on=on)


def _write_off(before: Receivable, after: Receivable, moment: Moment, why: str) -> Entry:
    lost = Movement(
        tenant_id=after.tenant_id,
        source=f"write_off:{after.id}:v{after.version}",
        entry_date=moment.today,
        currency=after.currency,
        amount_cents=after.written_off_cents - before.written_off_cents,
        invoice_id=after.id,
    )
    entry = write_off_entry(lost)
    return msgspec.structs.replace(entry, description=f"Written off: {why}") if why else entry


async def ask_to_tell(
    conn: Conn,
    invoice: Receivable,
    kind: events.CommunicationKind,
    *,
    moment: Moment,
    requested_by: str,
    template_id: UUID | None = None,
    scheduled_for: datetime | None = None,
    cc_self: bool = False,
) -> events.Communication:
    """Ask the notifier, through the outbox, to write to the customer; now, unless a later time is given."""
    if invoice.email is None:
        raise errors.NoEmail
    request = events.CommunicationRequested(
        id=uuid7(),
        kind=kind,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        template_id=template_id,
        scheduled_for=_not_before(moment.now, scheduled_for),
        cc_self=cc_self,
        requested_by=requested_by,
        invoice=invoice_of(invoice, moment.today),
    )
    await outbox.put(conn, events.communication_requested(invoice.tenant_id, request))
    return events.Communication(id=request.id, status="pending", scheduled_for=request.scheduled_for)


def _not_before(now: datetime, wanted: datetime | None) -> datetime:
    """When a message goes out, in UTC: a time in the past means now."""
    return now if wanted is None or wanted <= now else wanted.astimezone(UTC)


async def delete_for_good(conn: Conn, invoice: Receivable) -> None:
    """Remove a draft that never had a number, so that no number goes missing."""
    if invoice.status != "draft" or invoice.invoice_number is not None:
        raise errors.NotDeletable
    await store.remove(conn, invoice.tenant_id, invoice.id)
