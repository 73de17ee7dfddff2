"""What can be done with an invoice's PDF and with a checkout, inside the caller's transaction."""

import base64
import binascii
import hashlib
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.invoices.rendering import store
from services.invoices.rendering.errors import NotAPdf, NothingDue, PdfNotOurs
from services.invoices.rendering.providers.provider import Outcome
from services.invoices.rendering.store import Checkout
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.model import Moment, PdfSource, Receivable
from shared.db import Conn
from shared.ids import uuid7

MAX_PDF_BYTES = 7 * 1024 * 1024
"""What fits into a body of 10 MiB in Base64."""

GENERATED: PdfSource = "arpilot_generated"
UPLOADED: PdfSource = "user_upload"


def decode_pdf(pdf_base64: str) -> bytes:
    """The document that a caller uploads; raises NotAPdf. Some writers put a few bytes before the header."""
    wrong = NotAPdf(limit_mib=MAX_PDF_BYTES // 1024 // 1024, field="pdf_base64")
    text = pdf_base64.partition("base64,")[2] if pdf_base64.startswith("data:") else pdf_base64
    try:
        pdf = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if b"%PDF-" not in pdf[:1024] or len(pdf) > MAX_PDF_BYTES:
        raise wrong
    return pdf


def refuse_foreign(invoice: Receivable) -> None:
    """A document that somebody uploaded, or that another system made, is not rendered over."""
    if invoice.pdf_source not in (None, GENERATED):
        raise PdfNotOurs(pdf_source=invoice.pdf_source)


def new_key(tenant_id: UUID, invoice_id: UUID, pdf: bytes) -> str:
    """A key of its own for each document that is stored; its beginning tells equal bytes."""
    return f"{tenant_id}/invoices/{invoice_id}/{_digest(pdf)}-{uuid7()}.pdf"


def _digest(pdf: bytes) -> str:
    return hashlib.sha256(pdf).hexdigest()[:32]


def same_bytes(key: str | None, pdf: bytes) -> bool:
    """Whether the document stored under a key is this one."""
    return key is not None and key.rpartition("/")[2].startswith(_digest(pdf))


async def set_pdf(
    conn: Conn, before: Receivable, source: PdfSource | None, key: str | None, *, moment: Moment
) -> Receivable:
    """Record where a locked invoice's document comes from and lies."""
    after = msgspec.structs.replace(before, pdf_source=source, pdf_key=key)
    return await settlement.settle(conn, before, after, moment=moment)


async def begin_checkout(conn: Conn, invoice: Receivable, provider: str, *, now: datetime) -> Checkout:
    """Keep what is about to be paid; what was paid online and is not booked yet is not asked for again."""
    due_cents = invoice.amount_due_cents - await store.underway_cents(conn, invoice.tenant_id, invoice.id)
    if not invoice.is_open or due_cents <= 0:
        raise NothingDue
    checkout = Checkout(
        tenant_id=invoice.tenant_id,
        id=uuid7(),
        invoice_id=invoice.id,
        provider=provider,
        session_id=None,
        amount_cents=due_cents,
        currency=invoice.currency,
        status="open",
        payer_name=None,
        payment_id=None,
        created_at=now,
        paid_at=None,
        attempts=0,
    )
    await store.insert_checkout(conn, checkout)
    return checkout


BOOKING_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 1440))
"""How long to wait before money that could not be booked is tried again: two days in all, time to mend a mistake."""


def next_booking(refusals: int) -> timedelta | None:
    """How long after so many refusals the next attempt comes; None once a person has to look."""
    return BOOKING_PAUSES[refusals - 1] if refusals <= len(BOOKING_PAUSES) else None


async def end_checkout(conn: Conn, checkout: Checkout, outcome: Outcome, *, now: datetime) -> bool:
    """Record what the provider says; False where it said so before."""
    return await store.checkout_ended(conn, checkout, outcome.status, payer_name=outcome.payer_name, now=now)
