"""What the notifier asks for when it sends a customer's statement: its words, and the document."""

import asyncio
from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec
from aiohttp import web

from services.invoices.rendering import store as tenants
from services.invoices.rendering.bills import brand_of
from services.invoices.rendering.files import PDF_TYPE, pdf_file
from services.invoices.rendering.model import Brand
from services.invoices.rendering.typesetting import typesetter
from services.invoices.reports import actions, document
from services.invoices.reports.actions import Account
from services.invoices.reports.errors import StatementCustomerUnknown
from services.invoices.settings import store as settings
from shared.http.calls import Call
from shared.http.routes import Route
from shared.money import major


class LetterQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose account over which period; the currency is the tenant's own."""

    tenant_id: UUID
    customer_id: UUID
    start: date
    end: date


class StatementLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail with a statement says."""

    company: dict[str, str]
    currency: str
    balance: Decimal


async def statement_letter(call: Call[None, LetterQuery]) -> web.StreamResponse:
    """Tell the notifier what a statement comes to."""
    account, brand = await _account(call)
    company = {"name": brand.company_name, "address": brand.address}
    return call.reply(StatementLetter(company=company, currency=account.currency, balance=major(account.closing_cents)))


async def statement_pdf(call: Call[None, LetterQuery]) -> web.StreamResponse:
    """Give the notifier a statement as PDF."""
    account, brand = await _account(call)
    pdf = await asyncio.to_thread(typesetter().statement, document.of_account(account, brand))
    return pdf_file(pdf, f"statement-{call.query.start}-{call.query.end}.pdf")


async def _account(call: Call[None, LetterQuery]) -> tuple[Account, Brand]:
    query = call.query
    async with call.connection() as conn:
        tenant = await tenants.tenant(conn, query.tenant_id)
        if tenant is None:
            raise StatementCustomerUnknown(customer_id=query.customer_id)
        stored = await settings.find(conn, query.tenant_id)
        account = await actions.account(
            conn,
            query.tenant_id,
            query.customer_id,
            currency=stored.currency or tenant.currency,
            start=query.start,
            end=query.end,
        )
    return account, brand_of(stored.branding, tenant_name=tenant.name)


PATH = "/internal/statements"

ROUTES = (
    Route("GET", PATH, statement_letter, internal=True, query=LetterQuery, returns=StatementLetter),
    Route("GET", f"{PATH}/pdf", statement_pdf, internal=True, query=LetterQuery, content_type=PDF_TYPE),
)
