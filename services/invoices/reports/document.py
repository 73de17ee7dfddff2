"""A statement as the struct that the PDF is set from."""

import base64

from services.invoices.rendering.model import Brand, Movement, Party, Statement
from services.invoices.reports.actions import Account
from services.invoices.reports.model import Posting
from services.invoices.settings.model import Branding


def of_account(account: Account, brand: Brand) -> Statement:
    """A customer's account over a period, ready to be set."""
    return Statement(
        brand=brand,
        customer=Party(
            name=account.addressee.name, address=account.addressee.address or "", email=account.addressee.email or ""
        ),
        currency=account.currency,
        start=account.start,
        end=account.end,
        opening_cents=account.opening_cents,
        closing_cents=account.closing_cents,
        movements=tuple(
            Movement(
                date=posting.date,
                text=_text(posting),
                amount_cents=posting.change_cents,
                balance_cents=balance_cents,
            )
            for posting, balance_cents in zip(account.postings, account.balances, strict=True)
        ),
    )


def _text(posting: Posting) -> str:
    return f"{posting.description}, {posting.invoice_number}" if posting.invoice_number else posting.description


def brand_of(branding: Branding, *, tenant_name: str) -> Brand:
    """How the tenant's documents look; without a company name it is the tenant's own name."""
    plain = Brand(company_name=branding.company_name or tenant_name)
    return Brand(
        company_name=plain.company_name,
        address=branding.address or "",
        tax_id=branding.tax_id or "",
        logo=_logo(branding.logo),
        color=branding.color or plain.color,
        footer=branding.footer or "",
        bank_details=branding.bank_details or "",
    )


def _logo(text: str | None) -> bytes | None:
    """The image in a data URL or in plain Base64, which was checked when it was stored."""
    return base64.b64decode(text.partition("base64,")[2] or text) if text else None
