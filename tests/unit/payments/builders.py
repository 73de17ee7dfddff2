"""Open invoices and payments, with everything that a test is not about."""

from datetime import date
from uuid import UUID, uuid5

from services.payments.matching import search
from services.payments.matching.index import OpenInvoices
from services.payments.matching.model import Finding, OpenInvoice, Receipt, Rules

SPACE = UUID(int=7)
ISSUED, DUE, PAID = date(2026, 10, 20), date(2026, 11, 19), date(2026, 11, 20)


def an_id(name: str) -> UUID:
    return uuid5(SPACE, name)


def owed(
    number: str | None,
    cents: int = 10000,
    customer: str = "Northwind Trading LLC",
    *,
    due_cents: int | None = None,
    currency: str = "USD",
    issued: date = ISSUED,
    due: date = DUE,
    terms: str | None = None,
) -> OpenInvoice:
    return OpenInvoice(
        id=an_id(f"{number}/{customer}/{currency}"),
        customer_id=an_id(customer),
        customer_name=customer,
        number=number,
        currency=currency,
        amount_cents=cents,
        due_cents=cents if due_cents is None else due_cents,
        issue_date=issued,
        due_date=due,
        terms=terms,
    )


def received(
    cents: int = 10000,
    text: str = "",
    payer: str | None = None,
    *,
    paid: date = PAID,
    currency: str = "USD",
    undone: frozenset[UUID] = frozenset(),
) -> Receipt:
    return Receipt(
        id=an_id("payment"),
        amount_cents=cents,
        currency=currency,
        payment_date=paid,
        payer_name=payer,
        text=text,
        refused_invoice_ids=undone,
    )


def find(
    receipt: Receipt, *invoices: OpenInvoice, closed: dict[str, UUID] | None = None, tolerance_cents: int = 0
) -> Finding:
    index = OpenInvoices(invoices)
    return search.find(receipt, index, Rules(tolerance_cents=tolerance_cents), closed or {})


def paid_for(finding: Finding) -> dict[UUID, int]:
    """What is applied by itself, in cents by invoice; nothing where nothing is certain."""
    if finding.certain is None:
        return {}
    return {allocation.invoice_id: allocation.amount_cents for allocation in finding.certain.allocations}
