"""HTTP: documents of invoices, links to them, and the page where a customer pays."""

import base64
import functools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.invoices.issuing.api import ONE, Action
from services.invoices.issuing.requests import Nothing
from services.invoices.rendering import actions, documents, jobs, pages, store
from services.invoices.rendering.actions import GENERATED, UPLOADED
from services.invoices.rendering.documents import PAY, Subject
from services.invoices.rendering.errors import (
    EInvoiceIncomplete,
    LinkUnknown,
    NoPdf,
    NoProvider,
    NotAPdf,
    NothingDue,
    PdfNotOurs,
    ProviderAway,
    ProviderUnsigned,
)
from services.invoices.rendering.files import PDF_TYPE, file, pdf_file
from services.invoices.rendering.model import Brand
from services.invoices.rendering.paying import Providers
from services.invoices.rendering.providers.provider import Order, Outcome, Provider
from services.invoices.rendering.providers.sandbox import Sandbox
from services.invoices.rendering.store import Checkout
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.events import invoice_of
from services.invoices.settlement.model import Receivable
from shared import links
from shared.blobs import Blobs
from shared.errors import Refusal, Unavailable
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.routes import Route

PDF = "pdf"
LINK_LIFE = timedelta(hours=24)
MAX_LETTERS = 200


class PdfUpload(Body, frozen=True, kw_only=True):
    """A document to keep as the invoice's PDF."""

    pdf_base64: Annotated[str, Meta(description="the PDF in Base64")]


class PdfLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a PDF can be fetched without a token, and until when."""

    url: str
    expires_at: datetime


class PaymentLink(msgspec.Struct, frozen=True, kw_only=True):
    """The hosted page of an invoice."""

    url: str


class EInvoiceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which form of e-invoice."""

    format: Annotated[
        Literal["pdf", "xml"], Meta(description="`pdf`: PDF/A-3 with the XML inside; `xml`: that alone")
    ] = "pdf"


Handler = Callable[[Call[Any, Any]], Awaitable[web.StreamResponse]]


def for_people(handler: Handler) -> Handler:
    """A refusal on a page that people see is a page, too; a program gets the usual problem."""

    @functools.wraps(handler)
    async def serve(call: Call[Any, Any]) -> web.StreamResponse:
        try:
            return await handler(call)
        except Refusal as refusal:
            if "text/html" not in call.request.headers.get("Accept", ""):
                raise
            return pages.html(pages.refused(refusal.title, refusal.detail), status=refusal.status)

    return serve


async def upload_pdf(call: Call[PdfUpload, Any]) -> web.StreamResponse:
    """Keep a PDF of your own as the invoice's; it replaces what was there."""
    pdf = actions.decode_pdf(call.body.pdf_base64)
    tenant_id, invoice_id = call.caller.tenant_id, call.id("invoice_id")
    key = actions.new_key(tenant_id, invoice_id, pdf)
    await call.runtime.use(Blobs).put(key, pdf)
    async with call.transaction() as conn:
        before = await settlement.lock_one(conn, tenant_id, invoice_id)
        moment = await settlement.moment(conn, tenant_id, call.now)
        after = await actions.set_pdf(conn, before, UPLOADED, key, moment=moment)
        reply = call.reply(invoice_of(after, moment.today), version=after.version)
    await jobs.forget(call.runtime, {before.pdf_key})
    return reply


async def generate_pdf(call: Call[Nothing, Any]) -> web.StreamResponse:
    """Render the branded PDF. Over a document that was uploaded it is refused; over its own it is idempotent."""
    tenant_id, invoice_id = call.caller.tenant_id, call.id("invoice_id")
    pdf, key = await jobs.rendered(call.runtime, tenant_id, invoice_id, _origin(call))
    async with call.transaction() as conn:
        before = await settlement.lock_one(conn, tenant_id, invoice_id)
        actions.refuse_foreign(before)
        moment = await settlement.moment(conn, tenant_id, call.now)
        kept = before.pdf_key if actions.same_bytes(before.pdf_key, pdf) else key
        after = await actions.set_pdf(conn, before, GENERATED, kept, moment=moment)
        reply = call.reply(invoice_of(after, moment.today), version=after.version)
    await jobs.forget(call.runtime, {before.pdf_key, key} - {after.pdf_key})
    return reply


async def delete_pdf(call: Call[Nothing, Any]) -> web.StreamResponse:
    """Remove the invoice's PDF, wherever it came from."""
    tenant_id, invoice_id = call.caller.tenant_id, call.id("invoice_id")
    async with call.transaction() as conn:
        before = await settlement.lock_one(conn, tenant_id, invoice_id)
        moment = await settlement.moment(conn, tenant_id, call.now)
        after = await actions.set_pdf(conn, before, None, None, moment=moment)
        reply = call.reply(invoice_of(after, moment.today), version=after.version)
    await jobs.forget(call.runtime, {before.pdf_key})
    return reply


async def pdf_link(call: Call[None, None]) -> web.StreamResponse:
    """Get a link to the invoice's PDF that needs no token and expires after a day."""
    tenant_id, invoice_id = call.caller.tenant_id, call.id("invoice_id")
    async with call.connection() as conn:
        invoice = await settlement.find(conn, tenant_id, invoice_id)
    if invoice.pdf_key is None:
        raise NoPdf
    expires_at = (call.now + LINK_LIFE).replace(microsecond=0)
    token = links.sign(call.runtime.settings.secret_key, PDF, tenant_id, invoice_id, expires_at=expires_at)
    return call.reply(PdfLink(url=f"{_origin(call)}/files/{token}", expires_at=expires_at))


async def payment_link(call: Call[None, None]) -> web.StreamResponse:
    """Get the link to the page where the customer sees the invoice and pays it."""
    tenant_id, invoice_id = call.caller.tenant_id, call.id("invoice_id")
    async with call.connection() as conn:
        await settlement.find(conn, tenant_id, invoice_id)
    url = documents.pay_url(_origin(call), call.runtime.settings.secret_key, tenant_id, invoice_id)
    return call.reply(PaymentLink(url=url))


async def e_invoice(call: Call[None, EInvoiceQuery]) -> web.StreamResponse:
    """Get the invoice as an e-invoice: Factur-X / ZUGFeRD, EN 16931."""
    async with call.connection() as conn:
        subject = await documents.load(conn, call.caller.tenant_id, call.id("invoice_id"))
    bill = subject.bill(_pay_url(call, subject))
    if call.query.format == "xml":
        return file(await documents.as_xml(bill), "factur-x.xml", "application/xml")
    return pdf_file(await documents.as_einvoice(bill), _filename(subject.invoice))


@for_people
async def get_file(call: Call[None, None]) -> web.StreamResponse:
    """Fetch a PDF by its link: the one that was uploaded; of what we make ourselves, always what holds now."""
    subject = await _shown(call, PDF)
    if subject.invoice.pdf_key is None:
        raise LinkUnknown
    return pdf_file(await _current_pdf(call, subject), _filename(subject.invoice))


@for_people
async def show_invoice(call: Call[None, None]) -> web.StreamResponse:
    """Show an invoice to the customer, with the ways to pay it."""
    subject = await _shown(call)
    invoice = subject.invoice
    async with call.connection() as conn:
        underway_cents = await store.underway_cents(conn, invoice.tenant_id, invoice.id)
    provider = call.runtime.use(Providers).of(live=subject.live)
    payable_cents = max(0, invoice.amount_due_cents - underway_cents) if provider and invoice.is_open else 0
    text = pages.invoice_page(
        subject.bill(_pay_url(call, subject)),
        path=_path(call),
        logo=_logo(subject.brand),
        payable_cents=payable_cents,
        underway=underway_cents > 0,
        note=NOTES.get(call.request.query.get("state", ""), ""),
    )
    return pages.html(text, form=_form_target(provider))


NOTES = {
    "paid": "Thank you. Your payment has arrived.",
    "waiting": "Thank you. Your payment is on its way; this page shows it as soon as it has arrived.",
    "failed": "The payment was not made. Nothing was charged.",
}


@for_people
async def show_pdf(call: Call[None, None]) -> web.StreamResponse:
    """Fetch the invoice's PDF from its page: the one that was uploaded, else one of this moment."""
    subject = await _shown(call)
    return pdf_file(await _current_pdf(call, subject), _filename(subject.invoice))


@for_people
async def check_out(call: Call[None, None]) -> web.StreamResponse:
    """Go to the payment provider."""
    subject = await _shown(call)
    provider = call.runtime.use(Providers).of(live=subject.live)
    if provider is None:
        raise NoProvider
    async with call.transaction() as conn:
        checkout = await actions.begin_checkout(conn, subject.invoice, provider.name, now=call.now)
    session = await provider.open_session(_order(call, subject, checkout))
    async with call.transaction() as conn:
        await store.session_opened(conn, checkout, session.id)
    return pages.elsewhere(session.url)


@for_people
async def show_sandbox(call: Call[None, None]) -> web.StreamResponse:
    """Show the sandbox's page."""
    subject, checkout = await _sandboxed(call)
    return pages.html(pages.sandbox_page(subject.bill(None), checkout, path=_path(call)))


@for_people
async def end_sandbox(call: Call[None, None]) -> web.StreamResponse:
    """End a checkout as the button of the sandbox's page says."""
    subject, checkout = await _sandboxed(call)
    status: Literal["paid", "failed"] = "paid" if call.raw == b"outcome=paid" else "failed"
    outcome = Outcome(
        session_id=checkout.session_id or "",
        status=status,
        amount_cents=checkout.amount_cents,
        currency=checkout.currency,
        payer_name=subject.invoice.customer_name,
    )
    state = await _end(call, checkout, outcome)
    return pages.elsewhere(f"{_path(call)}?state={state}")


async def hear_stripe(call: Call[None, None]) -> web.StreamResponse:
    """Hear from Stripe what became of a checkout. Anything unsigned is refused; the same again changes nothing."""
    provider = call.runtime.use(Providers).real
    if provider is None:
        raise LinkUnknown
    outcome = provider.read(call.raw, call.request.headers, now=call.now)
    if outcome is not None:
        async with call.connection() as conn:
            checkout = await store.find_session(conn, provider.name, outcome.session_id)
        if checkout is not None and _agrees(checkout, outcome):
            await _end(call, checkout, outcome)
    return web.json_response({"received": True})


def _agrees(checkout: Checkout, outcome: Outcome) -> bool:
    """What was paid is what was asked for; a provider that says otherwise is not booked but looked at by a person."""
    same = (checkout.amount_cents, checkout.currency) == (outcome.amount_cents, outcome.currency)
    if not same and outcome.status == "paid":
        jobs.log.error("a checkout was paid with another amount", checkout=str(checkout.id), said=outcome.amount_cents)
    return same or outcome.status == "failed"


async def _end(call: Call[Any, Any], checkout: Checkout, outcome: Outcome) -> str:
    """Record the outcome, and book the money at once where that is possible; the job does what stays behind."""
    async with call.transaction() as conn:
        news = await actions.end_checkout(conn, checkout, outcome, now=call.now)
    if outcome.status == "failed":
        return "failed"
    async with call.connection() as conn:
        stored = await store.find_checkout(conn, checkout.tenant_id, checkout.id)
    if not news or stored is None or stored.status != "paid":
        return "paid"
    try:
        return "paid" if await jobs.book(call.runtime, stored) else "waiting"
    except Unavailable as error:
        jobs.log.warning("a paid checkout waits", checkout=str(checkout.id), reason=str(error))
        return "waiting"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What the notifier needs for a mail about invoices."""

    origin: str
    company: dict[str, str]
    invoices: list[dict[str, Any]]


class LettersQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invoices of whom."""

    tenant_id: UUID
    invoice_ids: Annotated[list[UUID], Meta(max_length=MAX_LETTERS)]


class TenantQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose invoice."""

    tenant_id: UUID


async def letters(call: Call[None, LettersQuery]) -> web.StreamResponse:
    """Tell the notifier what invoices say now."""
    async with call.connection() as conn:
        subjects = await documents.load_many(conn, call.query.tenant_id, call.query.invoice_ids)
    if not subjects:
        raise InvoiceUnknown(invoice_id=", ".join(map(str, call.query.invoice_ids)))
    brand, today = subjects[0].brand, call.now.date()
    shown = [
        {**_letter(invoice_of(subject.invoice, today, whole=False)), "pay_url": _pay_url(call, subject)}
        for subject in subjects
    ]
    company = {"name": brand.company_name, "address": brand.address}
    return call.reply(Letter(origin=_origin(call), company=company, invoices=shown))


def _letter(invoice: Any) -> dict[str, Any]:
    names = (
        "id", "invoice_number", "status", "currency", "amount", "amount_due", "issue_date", "due_date", "memo",
        "note_to_customer", "project",
    )  # fmt: skip
    return {name: getattr(invoice, name) for name in names}


async def internal_pdf(call: Call[None, TenantQuery]) -> web.StreamResponse:
    """Give the notifier an invoice's PDF: the one that was uploaded, else one of this moment."""
    async with call.connection() as conn:
        subject = await documents.load(conn, call.query.tenant_id, call.id("invoice_id"))
    return pdf_file(await _current_pdf(call, subject), _filename(subject.invoice))


async def _current_pdf(call: Call[Any, Any], subject: Subject) -> bytes:
    invoice = subject.invoice
    if invoice.pdf_key is not None and invoice.pdf_source != GENERATED:
        kept = await call.runtime.use(Blobs).get(invoice.pdf_key)
        if kept is not None:
            return kept
    return await documents.as_pdf(subject.bill(_pay_url(call, subject)))


async def _shown(call: Call[Any, Any], purpose: str = PAY) -> Subject:
    tenant_id, invoice_id = _target(call, purpose)
    async with call.connection() as conn:
        try:
            return await documents.load(conn, tenant_id, invoice_id)
        except InvoiceUnknown:
            raise LinkUnknown from None


async def _sandboxed(call: Call[Any, Any]) -> tuple[Subject, Checkout]:
    subject = await _shown(call)
    provider = call.runtime.use(Providers).of(live=subject.live)
    async with call.connection() as conn:
        checkout = await store.find_checkout(conn, subject.invoice.tenant_id, call.id("checkout_id"))
    if not isinstance(provider, Sandbox) or checkout is None or checkout.invoice_id != subject.invoice.id:
        raise LinkUnknown
    return subject, checkout


def _target(call: Call[Any, Any], purpose: str) -> tuple[UUID, UUID]:
    target = links.read(call.runtime.settings.secret_key, purpose, call.path("token"), now=call.now)
    if target is None:
        raise LinkUnknown
    return target


def _order(call: Call[Any, Any], subject: Subject, checkout: Checkout) -> Order:
    invoice, page = subject.invoice, f"{_origin(call)}{_path(call)}"
    return Order(
        checkout_id=checkout.id,
        amount_cents=checkout.amount_cents,
        currency=checkout.currency,
        title=f"Invoice {invoice.invoice_number} of {subject.brand.company_name}"[:250],
        customer_email=invoice.email,
        success_url=f"{page}?state=waiting",
        cancel_url=page,
        may_keep_method=False,
    )


def _path(call: Call[Any, Any]) -> str:
    return f"/pay/{call.path('token')}"


def _origin(call: Call[Any, Any]) -> str:
    """Scheme and host for links: the setting, else how the caller reached us."""
    return jobs.public_origin(call.runtime) or f"{call.request.scheme}://{call.request.host}"


def _pay_url(call: Call[Any, Any], subject: Subject) -> str:
    invoice = subject.invoice
    return documents.pay_url(_origin(call), call.runtime.settings.secret_key, invoice.tenant_id, invoice.id)


def _logo(brand: Brand) -> str | None:
    if brand.logo is None:
        return None
    kind = "png" if brand.logo.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(brand.logo).decode()}"


def _form_target(provider: Provider | None) -> str:
    """Browsers check a form's redirect too, so the provider's page has to be allowed."""
    return "https://checkout.stripe.com" if provider is not None and provider.name == "stripe" else ""


def _filename(invoice: Receivable) -> str:
    return f"{invoice.invoice_number or 'draft'}.pdf"


ACTIONS = {
    "upload_pdf": Action(handler=upload_pdf, body=PdfUpload, refuses=(NotAPdf,)),
    "generate_pdf": Action(handler=generate_pdf, refuses=(PdfNotOurs,)),
    "delete_pdf": Action(handler=delete_pdf),
}

READ = "invoices:read"
PAGE = "/pay/{token}"
SANDBOX = f"{PAGE}/sandbox/{{checkout_id}}"
HTML = "text/html"
UNKNOWN = (InvoiceUnknown,)
NO_LINK = (LinkUnknown,)

ROUTES = (
    Route("GET", f"{ONE}/pdf-link", pdf_link, scope=READ, returns=PdfLink, refuses=(InvoiceUnknown, NoPdf)),
    Route("GET", f"{ONE}/payment-link", payment_link, scope=READ, returns=PaymentLink, refuses=UNKNOWN),
    Route(
        "GET",
        f"{ONE}/e-invoice",
        e_invoice,
        scope=READ,
        query=EInvoiceQuery,
        content_type=PDF_TYPE,
        also=("application/xml",),
        refuses=(InvoiceUnknown, EInvoiceIncomplete),
    ),
    Route("GET", "/files/{token}", get_file, public=True, content_type=PDF_TYPE, refuses=NO_LINK),
    Route("GET", PAGE, show_invoice, public=True, content_type=HTML, query=None, refuses=NO_LINK),
    Route("GET", f"{PAGE}/pdf", show_pdf, public=True, content_type=PDF_TYPE, refuses=NO_LINK),
    Route(
        "POST",
        f"{PAGE}/checkout",
        check_out,
        public=True,
        raw_body=True,
        takes=("application/x-www-form-urlencoded",),
        content_type=HTML,
        status=303,
        refuses=(LinkUnknown, NoProvider, NothingDue, ProviderAway),
    ),
    Route("GET", SANDBOX, show_sandbox, public=True, content_type=HTML, refuses=NO_LINK),
    Route(
        "POST",
        SANDBOX,
        end_sandbox,
        public=True,
        raw_body=True,
        takes=("application/x-www-form-urlencoded",),
        content_type=HTML,
        status=303,
        refuses=NO_LINK,
    ),
    Route(
        "POST",
        "/providers/stripe",
        hear_stripe,
        public=True,
        raw_body=True,
        takes=("application/json",),
        refuses=(LinkUnknown, ProviderUnsigned),
    ),
    Route("GET", "/internal/letters", letters, internal=True, query=LettersQuery, returns=Letter, refuses=UNKNOWN),
    Route(
        "GET", "/internal/invoices/{invoice_id}/pdf", internal_pdf, internal=True, query=TenantQuery, refuses=UNKNOWN
    ),
)
