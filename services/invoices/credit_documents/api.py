"""HTTP: the PDF of a credit note."""

from aiohttp import web

from services.invoices.credit_documents.bills import bill_of
from services.invoices.credits import actions as credits_
from services.invoices.credits.errors import CreditNoteUnknown
from services.invoices.rendering import documents
from services.invoices.rendering.files import pdf_file
from shared.http.calls import Call
from shared.http.routes import Route


async def credit_note_pdf(call: Call[None, None]) -> web.StreamResponse:
    """Get a credit note as PDF, in the tenant's branding."""
    tenant_id = call.caller.tenant_id
    async with call.connection() as conn:
        note = await credits_.get(conn, tenant_id, call.id("credit_note_id"))
        corrected = await documents.load(conn, tenant_id, note.invoice_id)
    return pdf_file(await documents.as_pdf(bill_of(note, corrected)), f"{note.credit_note_number}.pdf")


ROUTES = (
    Route(
        "GET",
        "/v1/credit-notes/{credit_note_id}/pdf",
        credit_note_pdf,
        scope="invoices:read",
        content_type="application/pdf",
        refuses=(CreditNoteUnknown,),
    ),
)
