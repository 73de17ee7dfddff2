"""Making invoices, changing them and ending them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from services.invoices.issuing import actions, changes, errors, model
from services.invoices.issuing.bulk import bulk_create
from services.invoices.issuing.creating import REPEATED, Creating
from services.invoices.issuing.events import Communication, CommunicationKind
from services.invoices.issuing.looking_up import facts_for
from services.invoices.issuing.requests import (
    InvoiceClone,
    InvoiceCreate,
    InvoicePatch,
    LineItemsReplace,
    Nothing,
    Send,
    StatusSet,
    TagsSet,
    WriteOff,
)
from services.invoices.issuing.store import STALE, Made, Making, Names
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.events import (
    INVOICE_ARCHIVED,
    INVOICE_RESTORED,
    INVOICE_WRITTEN_OFF,
    Invoice,
    invoice_of,
)
from services.invoices.settlement.model import Moment, Receivable
from shared import clock
from shared.db import Conn
from shared.errors import Refusal
from shared.events import EventType
from shared.http.bodies import in_utc
from shared.http.calls import Call, encode
from shared.http.routes import BULK_BYTES, Route
from shared.ids import uuid7

WRITE = "invoices:write"
ONE = "/v1/invoices/{invoice_id}"

REFUSES_PRICES: tuple[type[Refusal], ...] = (
    errors.CustomerUnknown,
    errors.TaxRateUnknown,
    errors.ProductUnknown,
    errors.AccountUnknown,
    errors.AccountNotIncome,
    errors.AmountOrLinesRequired,
    errors.AmountMismatch,
    errors.AmountDueTooLarge,
    errors.TaxMismatch,
    errors.DiscountMismatch,
    errors.DiscountInvalid,
    errors.PartsExceedAmount,
    errors.TaxRatesNeedLines,
    errors.CurrencyNotEnabled,
    errors.NumberTaken,
)


async def create_invoice(call: Call[InvoiceCreate, None]) -> web.StreamResponse:
    """Make an invoice.

    By `amount` or by `line_items`. It is issued at once, numbered and posted to the ledger, unless its `status` is
    `draft`; the status is then worked out from what is due and when.
    """
    creating, names = call.runtime.use(Creating), actions.names([call.body])
    known = creating.known(call.caller.tenant_id, names)
    made = await _create_from_known(call, known) if known else None
    if made is None:
        facts = await facts_for(call, names)
        creating.remember(call.caller.tenant_id, names, facts)
        making = _making(call, facts)
        made = making, await _create(call, making)
    making, outcome = made
    if outcome.refusal == REPEATED:
        return await _create_again(call, making)
    return call.created(actions.numbered(making, outcome), version=making.invoice.version)


async def _create_from_known(call: Call[InvoiceCreate, None], facts: model.Facts) -> tuple[Making, Made] | None:
    """In one round trip, or None where the facts are old, or forbid what they may allow by now."""
    try:
        making = msgspec.structs.replace(_making(call, facts), facts_version=facts.version)
    except Refusal:
        return None
    made = await _create(call, making)
    return None if made.refusal == STALE else (making, made)


def _making(call: Call[InvoiceCreate, None], facts: model.Facts) -> Making:
    moment = moment_of(call, facts)
    invoice = model.new_invoice(call.caller.tenant_id, call.body, facts, moment=moment)
    return actions.making(invoice, facts, moment=moment, generate_pdf=bool(call.body.generate_pdf))


async def _create(call: Call[InvoiceCreate, None], making: Making) -> Made:
    creating = call.runtime.use(Creating)
    if call.attempt is None:
        return await creating.create(making)
    body = encode({"data": making.shown})
    return await creating.create_once(making, call.attempt, body)


async def _create_again(call: Call[InvoiceCreate, None], making: Making) -> web.StreamResponse:
    """A repeated Idempotency-Key: the transaction answers as the first time, or says what is wrong with the key."""
    async with call.transaction() as conn:
        (made,) = await actions.create(conn, [msgspec.structs.replace(making, facts_version=None)])
        return call.created(actions.numbered(making, made), version=making.invoice.version)


async def update_invoice(call: Call[InvoicePatch, None]) -> web.StreamResponse:
    """Change an invoice.

    Header, amounts and lines. What is due and the status are worked out again, and an issued invoice is posted again:
    the mirror image of the old posting, then the new one. `{"status": "paid"}` alone marks what is due as paid outside.
    """
    facts = await facts_for(call, actions.names_of_patch(call.body))
    moment = moment_of(call, facts)
    return await _change(call, lambda before: changes.changed(before, call.body, facts, moment=moment), moment=moment)


async def replace_line_items(call: Call[LineItemsReplace, None]) -> web.StreamResponse:
    """Replace all lines, tax rates and discounts of an invoice in one go."""
    facts = await facts_for(call, actions.names_of_patch(call.body))
    return await _change(call, lambda before: changes.relined(before, call.body, facts), moment=moment_of(call, facts))


async def publish_invoice(call: Call[Nothing, None]) -> web.StreamResponse:
    """Issue a draft: it gets its number and is posted to the ledger."""

    def published(before: Receivable) -> Receivable:
        if before.status == "cancelled":
            raise errors.InvoiceCancelled
        if before.status != "draft":
            raise errors.AlreadyPublished
        return changes.issued(before, now=call.now)

    return await _change(call, published)


async def void_invoice(call: Call[Nothing, None]) -> web.StreamResponse:
    """Cancel an invoice and reverse its postings; payments must be unmatched first."""
    return await _change(call, changes.voided)


async def write_off_invoice(call: Call[WriteOff, None]) -> web.StreamResponse:
    """Give up what is still due: it becomes bad debt."""
    return await _change(call, changes.written_off, also=(INVOICE_WRITTEN_OFF,), why=call.body.reason)


async def set_status(call: Call[StatusSet, None]) -> web.StreamResponse:
    """Set a status by hand, which then sticks; null lets it follow from the facts again."""
    return await _change(call, lambda before: changes.pinned(before, call.body.status, now=call.now))


async def set_tags(call: Call[TagsSet, None]) -> web.StreamResponse:
    """Set the titles of all tags of an invoice."""
    tags = tuple(dict.fromkeys(call.body.tags))
    return await _change(call, lambda before: msgspec.structs.replace(before, tags=tags))


async def clone_invoice(call: Call[InvoiceClone, None]) -> web.StreamResponse:
    """Make a new draft that bills the same to a customer."""
    facts = await facts_for(call, Names(customers=frozenset({call.body.customer_id})))
    moment = moment_of(call, facts)
    async with call.transaction() as conn:
        source = await settlement.find(conn, call.caller.tenant_id, call.id("invoice_id"))
        fields = msgspec.structs.asdict(call.body)
        copy = changes.clone(source, facts, moment=moment, invoice_id=uuid7(), fields=fields)
        making = actions.making(copy, facts, moment=moment)
        (made,) = await actions.create(conn, [making])
        return call.created(actions.numbered(making, made), version=copy.version)


async def archive_invoice(call: Call[None, "DeleteQuery"]) -> web.StreamResponse:
    """Put an invoice away, or delete a draft without a number for good with `permanent=true`."""
    async with call.transaction() as conn:
        before = await _locked(call, conn)
        moment = await settlement.moment(conn, before.tenant_id, call.now)
        if call.query.permanent:
            await actions.delete_for_good(conn, before)
            return call.deleted(invoice_of(before, moment.today))
        put_away = msgspec.structs.replace(before, archived_at=before.archived_at or call.now)
        kinds = () if before.archived_at else (INVOICE_ARCHIVED,)
        after = await actions.change(conn, before, put_away, moment=moment, also=kinds)
        return call.deleted(invoice_of(after, moment.today))


async def restore_invoice(call: Call[Nothing, None]) -> web.StreamResponse:
    """Bring an archived invoice back."""

    def restored(before: Receivable) -> Receivable:
        if before.archived_at is None:
            raise errors.NotArchived
        return msgspec.structs.replace(before, archived_at=None)

    return await _change(call, restored, also=(INVOICE_RESTORED,))


async def send_invoice(call: Call[Send, None]) -> web.StreamResponse:
    """Email an invoice by a template, now or at a later time; a draft is issued first."""
    await _refuse_unknown_template(call)

    def ready(before: Receivable) -> Receivable:
        if before.status == "cancelled":
            raise errors.InvoiceCancelled
        return changes.issued(before, now=call.now) if before.status == "draft" else before

    return await _tell(
        call,
        "send",
        ready,
        template_id=call.body.template_id,
        scheduled_for=call.body.scheduled_date and in_utc(call.body.scheduled_date, "scheduled_date"),
        cc_self=call.body.cc_self,
    )


async def email_invoice(call: Call[Nothing, None]) -> web.StreamResponse:
    """Email the current document of an issued invoice."""

    def ready(before: Receivable) -> Receivable:
        changes.refuse_unless_issued(before)
        return before

    return await _tell(call, "email", ready)


async def remind(call: Call[Nothing, None]) -> web.StreamResponse:
    """Queue a reminder of an invoice on which something is due."""

    def ready(before: Receivable) -> Receivable:
        changes.refuse_unless_due(before)
        return before

    return await _tell(call, "remind", ready)


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to delete."""

    permanent: bool = False


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a delete."""

    success: bool
    data: Invoice


class TemplateFound(msgspec.Struct, frozen=True):
    """The notifier knows the template."""


ROUTES = (
    Route(
        "POST",
        "/v1/invoices",
        create_invoice,
        scope=WRITE,
        body=InvoiceCreate,
        returns=Invoice,
        status=201,
        refuses=REFUSES_PRICES,
    ),
    Route(
        "POST",
        "/v1/invoices/bulk",
        bulk_create,
        scope=WRITE,
        raw_body=True,
        takes=("application/json", "application/x-ndjson"),
        max_bytes=BULK_BYTES,
    ),
    *(
        Route(
            method,
            ONE,
            update_invoice,
            scope=WRITE,
            body=InvoicePatch,
            returns=Invoice,
            refuses=(
                InvoiceUnknown,
                *REFUSES_PRICES,
                errors.LineUnknown,
                errors.CustomerFixed,
                errors.CurrencyFixed,
                errors.NumberFixed,
                errors.InvoiceCancelled,
                errors.NotDraftAgain,
                errors.HasPayments,
                errors.HasCredits,
            ),
        )
        for method in ("PATCH", "PUT")
    ),
    Route(
        "DELETE",
        ONE,
        archive_invoice,
        scope=WRITE,
        query=DeleteQuery,
        returns=Invoice,
        refuses=(InvoiceUnknown, errors.NotDeletable),
    ),
    Route(
        "PUT",
        f"{ONE}/line-items",
        replace_line_items,
        scope=WRITE,
        body=LineItemsReplace,
        returns=Invoice,
        refuses=(InvoiceUnknown, *REFUSES_PRICES, errors.InvoiceCancelled),
    ),
    Route("PUT", f"{ONE}/tags", set_tags, scope=WRITE, body=TagsSet, returns=Invoice, refuses=(InvoiceUnknown,)),
)


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done to an invoice by `POST …/{name}` as well as by `POST …?action={name}`."""

    handler: Callable[[Any], Any]
    body: Any = Nothing
    status: int = 200
    refuses: tuple[type[Refusal], ...] = ()


ACTIONS: Mapping[str, Action] = {
    "publish": Action(handler=publish_invoice, refuses=(errors.AlreadyPublished, errors.InvoiceCancelled)),
    "send": Action(
        handler=send_invoice,
        body=Send,
        refuses=(errors.TemplateUnknown, errors.NoEmail, errors.InvoiceCancelled),
    ),
    "email": Action(handler=email_invoice, refuses=(errors.StillDraft, errors.InvoiceCancelled, errors.NoEmail)),
    "remind": Action(handler=remind, refuses=(errors.NothingDue, errors.StillDraft, errors.InvoiceCancelled)),
    "void": Action(handler=void_invoice, refuses=(errors.InvoiceCancelled, errors.HasPayments, errors.HasCredits)),
    "write-off": Action(
        handler=write_off_invoice,
        body=WriteOff,
        refuses=(errors.NothingDue, errors.StillDraft, errors.InvoiceCancelled),
    ),
    "status": Action(handler=set_status, body=StatusSet, refuses=(errors.InvoiceCancelled, errors.NotDraftAgain)),
    "clone": Action(handler=clone_invoice, body=InvoiceClone, status=201, refuses=(errors.CustomerUnknown,)),
    "restore": Action(handler=restore_invoice, refuses=(errors.NotArchived,)),
}


def moment_of(call: Call[Any, Any], facts: model.Facts) -> Moment:
    """When this is for the tenant, whose settings are loaded."""
    return Moment(now=call.now, today=clock.today(facts.settings.timezone, at=call.now))


async def _locked(call: Call[Any, Any], conn: Conn) -> Receivable:
    invoice = await settlement.lock_one(conn, call.caller.tenant_id, call.id("invoice_id"))
    call.check_if_match(invoice.version)
    return invoice


async def _change(
    call: Call[Any, Any],
    decide: Callable[[Receivable], Receivable],
    *,
    moment: Moment | None = None,
    also: Sequence[EventType[Invoice]] = (),
    why: str = "",
) -> web.StreamResponse:
    """Lock the invoice, let `decide` say what becomes of it, store that and answer with it."""
    async with call.transaction() as conn:
        before = await _locked(call, conn)
        moment = moment or await settlement.moment(conn, before.tenant_id, call.now)
        after = await actions.change(conn, before, decide(before), moment=moment, also=also, why=why)
        return call.reply(invoice_of(after, moment.today), version=after.version)


async def _tell(
    call: Call[Any, Any], kind: CommunicationKind, ready: Callable[[Receivable], Receivable], **how: Any
) -> web.StreamResponse:
    async with call.transaction() as conn:
        before = await _locked(call, conn)
        moment = await settlement.moment(conn, before.tenant_id, call.now)
        after = await actions.change(conn, before, ready(before), moment=moment)
        asked: Communication = await actions.ask_to_tell(
            conn, after, kind, moment=moment, requested_by=call.caller.actor, **how
        )
        return call.reply(invoice_of(after, moment.today), version=after.version, extra={"communication": asked})


async def _refuse_unknown_template(call: Call[Send, None]) -> None:
    """Templates are the notifier's; it is asked before the transaction begins."""
    path = f"/internal/templates/{call.body.template_id}"
    found = await call.runtime.internal.get("notifier", path, TemplateFound, tenant_id=call.caller.tenant_id)
    if found is None:
        raise errors.TemplateUnknown(template_id=call.body.template_id, field="template_id")
