"""The clock in: documents that were asked for with their invoices, and payments of the hosted page to be booked."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from services.invoices.rendering import actions, documents, store
from services.invoices.rendering.actions import GENERATED
from services.invoices.rendering.errors import PdfNotOurs
from services.invoices.rendering.store import Checkout
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.model import Receivable
from shared import clock
from shared.app import Runtime
from shared.blobs import Blobs
from shared.db import EXHAUSTED, LOST, DatabaseAway
from shared.errors import NotFound, Unavailable
from shared.http.client import ServiceAway, ServiceRefused
from shared.jobs import Job, one_by_one, tell
from shared.money import major
from shared.stopping import pause

log = structlog.get_logger("documents")

CHECKOUTS = Counter(
    "arpilot_paid_checkouts_total", "What became of money paid on hosted pages: booked, put_off, refused", ("outcome",)
)

BATCH = 20
MAX_REASON_CHARACTERS = 500
POLL_SECONDS = 1.0
AWAY_SECONDS = 5.0
AGAIN_AFTER = timedelta(minutes=2)


async def render_requested(runtime: Runtime, stopping: asyncio.Event) -> None:
    """Render what was asked for until told to stop."""
    while not stopping.is_set():
        try:
            done = await render_due(runtime)
        except (DatabaseAway, Unavailable, *LOST, *EXHAUSTED) as error:
            log.warning("documents wait", reason=str(error))
            await pause(AWAY_SECONDS, stopping)
        except Exception as error:
            log.error("documents could not be taken up", exc_info=error)
            await pause(AWAY_SECONDS, stopping)
        else:
            if not done:
                await pause(POLL_SECONDS, stopping)


async def render_due(runtime: Runtime) -> int:
    """Render a batch; says how many."""
    async with runtime.database.transaction() as conn:
        due = await store.take_pdf_requests(conn, again_after=AGAIN_AFTER, limit=BATCH)
    await one_by_one(due, lambda one: _render(runtime, *one))
    return len(due)


async def _render(runtime: Runtime, tenant_id: UUID, invoice_id: UUID) -> None:
    try:
        await generate(runtime, tenant_id, invoice_id, public_origin(runtime))
    except (InvoiceUnknown, PdfNotOurs) as finding:
        log.info("a document is not rendered", invoice=str(invoice_id), reason=finding.detail)
    async with runtime.database.transaction() as conn:
        await store.pdf_done(conn, tenant_id, invoice_id)


async def generate(runtime: Runtime, tenant_id: UUID, invoice_id: UUID, origin: str | None) -> Receivable:
    """Render, keep and record an invoice's document; the same document again changes nothing."""
    pdf, key = await rendered(runtime, tenant_id, invoice_id, origin)
    async with runtime.database.transaction() as conn:
        before = await settlement.lock_one(conn, tenant_id, invoice_id)
        actions.refuse_foreign(before)
        moment = await settlement.moment(conn, tenant_id, clock.now())
        kept = before.pdf_key if actions.same_bytes(before.pdf_key, pdf) else key
        after = await actions.set_pdf(conn, before, GENERATED, kept, moment=moment)
    await forget(runtime, {before.pdf_key, key} - {after.pdf_key, None})
    return after


async def rendered(runtime: Runtime, tenant_id: UUID, invoice_id: UUID, origin: str | None) -> tuple[bytes, str]:
    """The document of an invoice, kept under a key that nothing names yet."""
    async with runtime.database.connection() as conn:
        subject = await documents.load(conn, tenant_id, invoice_id)
    actions.refuse_foreign(subject.invoice)
    link = documents.pay_url(origin, runtime.settings.secret_key, tenant_id, invoice_id) if origin else None
    pdf = await documents.as_pdf(subject.bill(link))
    key = actions.new_key(tenant_id, invoice_id, pdf)
    await runtime.use(Blobs).put(key, pdf)
    return pdf, key


async def forget(runtime: Runtime, keys: set[str | None]) -> None:
    """Remove documents that nothing names any more. One that is left behind costs a little room and nothing else."""
    for key in keys:
        if key is not None:
            try:
                await runtime.use(Blobs).delete(key)
            except Unavailable:
                log.warning("a document stays behind", key=key)


def public_origin(runtime: Runtime) -> str | None:
    """What customers see as scheme and host, where a setting tells."""
    settings = runtime.settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    return f"http://127.0.0.1:{settings.port}" if settings.port else None


async def book_payments(runtime: Runtime) -> None:
    """Have the payments service make payments of what was paid on hosted pages; the checkout's id keeps each single."""
    async with runtime.database.connection() as conn:
        paid = await store.paid_checkouts(conn, limit=BATCH)
    try:
        tell(await one_by_one(paid, lambda checkout: book(runtime, checkout)))
    except ServiceAway as error:
        log.warning("paid checkouts wait", reason=str(error))


async def book(runtime: Runtime, checkout: Checkout) -> bool:
    """One of them. What the payments service refuses is tried again ever more rarely, and then left to a person."""
    try:
        made = await runtime.internal.post("payments", "/internal/payments", _payment(checkout), PaymentAnswer)
    except (ServiceRefused, NotFound) as error:
        await _put_off(runtime, checkout, str(error))
        return False
    async with runtime.database.transaction() as conn:
        await store.booked(conn, checkout, made.data.id)
    CHECKOUTS.labels("booked").inc()
    return True


async def _put_off(runtime: Runtime, checkout: Checkout, reason: str) -> None:
    pause_before = actions.next_booking(checkout.attempts + 1)
    async with runtime.database.transaction() as conn:
        await store.booking_refused(conn, checkout, reason[:MAX_REASON_CHARACTERS], again_after=pause_before)
    outcome = "refused" if pause_before is None else "put_off"
    CHECKOUTS.labels(outcome).inc()
    say = log.error if pause_before is None else log.warning
    say("a paid checkout cannot be booked", checkout=str(checkout.id), outcome=outcome, reason=reason)


class MadePayment(msgspec.Struct, frozen=True, kw_only=True):
    """The payment that a checkout became."""

    id: UUID


class PaymentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the payments service."""

    data: MadePayment


def _payment(checkout: Checkout) -> dict[str, object]:
    assert checkout.paid_at is not None
    return {
        "tenant_id": checkout.tenant_id,
        "invoice_id": checkout.invoice_id,
        "amount": major(checkout.amount_cents),
        "currency": checkout.currency,
        "payment_date": checkout.paid_at.date(),
        "payment_method": "credit_card" if checkout.provider == "stripe" else "other",
        "payer_name": checkout.payer_name,
        "payer_reference": f"{checkout.provider} {checkout.session_id or checkout.id}",
        "external_payment_id": f"{checkout.provider}:{checkout.id}",
    }


WORKERS = (render_requested,)
JOBS = (Job("book_payments", every_seconds=30, run=book_payments),)
