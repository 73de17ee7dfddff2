"""A statement as the struct that the PDF is set from."""

from services.invoices.rendering.model import Brand, Movement, Party, Statement
from services.invoices.reports.actions import Account
from services.invoices.reports.model import Posting


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
