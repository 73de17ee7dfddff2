"""Loading what a document is made from, and making it: reads, then work in a thread, no writing."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.invoices.rendering import einvoice, store
from services.invoices.rendering.bills import bill_of, brand_of
from services.invoices.rendering.model import Bill, Brand
from services.invoices.rendering.typesetting import typesetter
from services.invoices.settings import store as settings
from services.invoices.settlement import actions as settlement
from services.invoices.settlement import store as receivables
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.model import Receivable
from shared import links
from shared.db import Conn

PAY = "pay"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice with the branding of its tenant."""

    invoice: Receivable
    brand: Brand
    live: bool

    def bill(self, pay_url: str | None) -> Bill:
        """What its documents are set from."""
        return bill_of(self.invoice, self.brand, pay_url=pay_url if self.invoice.is_open else None)


async def load(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Subject:
    """One invoice; raises InvoiceUnknown."""
    invoice = await settlement.find(conn, tenant_id, invoice_id)
    brand, live = await _brand(conn, tenant_id)
    return Subject(invoice=invoice, brand=brand, live=live)


async def load_many(conn: Conn, tenant_id: UUID, invoice_ids: Sequence[UUID]) -> list[Subject]:
    """Those that there are, in the order asked for."""
    found = {invoice.id: invoice for invoice in await receivables.find_many(conn, tenant_id, list(invoice_ids))}
    brand, live = await _brand(conn, tenant_id)
    known = (found[invoice_id] for invoice_id in invoice_ids if invoice_id in found)
    return [Subject(invoice=invoice, brand=brand, live=live) for invoice in known]


async def _brand(conn: Conn, tenant_id: UUID) -> tuple[Brand, bool]:
    tenant = await store.tenant(conn, tenant_id)
    if tenant is None:
        raise InvoiceUnknown(invoice_id="")
    stored = await settings.find(conn, tenant_id)
    return brand_of(stored.branding, tenant_name=tenant.name), tenant.live


async def as_pdf(bill: Bill) -> bytes:
    """The document, set in a thread: it takes milliseconds, but those of a whole core."""
    return await asyncio.to_thread(typesetter().bill, bill)


async def as_einvoice(bill: Bill) -> bytes:
    """The document with its machine-readable twin inside; raises EInvoiceIncomplete."""
    return await asyncio.to_thread(_hybrid, bill)


def _hybrid(bill: Bill) -> bytes:
    einvoice.xml(bill)  # what is missing is found before anything is set
    return einvoice.attach(bill, typesetter().bill(bill, archival=True))


async def as_xml(bill: Bill) -> bytes:
    """The machine-readable twin alone; raises EInvoiceIncomplete."""
    return await asyncio.to_thread(einvoice.xml, bill)


def pay_url(origin: str, secret_key: str, tenant_id: UUID, invoice_id: UUID) -> str:
    """The hosted page of an invoice."""
    return f"{origin}/pay/{links.sign(secret_key, PAY, tenant_id, invoice_id)}"
