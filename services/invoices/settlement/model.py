"""What is due on an invoice and the status that follows (docs/accounting.md, status).

Everything else changes facts (what was billed, paid, credited, disputed…); due and status are worked out here.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from services.invoices.ledger import model as ledger
from services.invoices.lines.model import Discount, DiscountType, Line, Price, TaxType, Terms
from services.invoices.settlement.errors import MoneyApplied, TotalNotPositive, TotalTooLarge
from services.invoices.tax.model import Tax, TaxRate
from shared.money import MAX_CENTS, major

Status = Literal["draft", "pending", "partial", "paid", "overdue", "in_dispute", "in_payment_plan", "cancelled"]
HandStatus = Literal["in_dispute", "in_payment_plan"]
SourceType = Literal["api", "manual", "quickbooks", "import"]
PdfSource = Literal["user_upload", "arpilot_generated", "quickbooks"]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When something happens: the instant, and the day in the tenant's time zone."""

    now: datetime
    today: date


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a payment that is on the invoice."""

    allocation_id: UUID
    payment_id: UUID
    applied_cents: int
    write_off_cents: int
    payment_date: date
    payment_method: str | None
    payer_name: str | None
    payer_reference: str | None
    created_at: datetime


class Receivable(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as stored, with its lines and payments; `amount_due_cents` and `status` follow from the rest."""

    tenant_id: UUID
    id: UUID
    version: int
    invoice_number: str | None
    customer_id: UUID
    customer_name: str
    customer_address: str | None
    currency: str
    issue_date: date
    due_date: date
    status: Status
    status_pinned: bool = False
    hand_status: HandStatus | None = None
    disputed: bool = False
    in_plan: bool = False
    by_lines: bool
    tax_type: TaxType = "summary"
    tax_rate_ids: tuple[UUID, ...] = ()
    taxes: tuple[Tax, ...] = ()
    tax_rate: Decimal | None = None
    given_tax_cents: int | None = None
    discount_type: DiscountType = "none"
    discount_value: Decimal = Decimal(0)
    adjustment_description: str | None = None
    subtotal_cents: int
    discount_cents: int = 0
    tax_cents: int = 0
    adjustment_cents: int = 0
    amount_cents: int
    amount_due_cents: int = 0
    matched_cents: int = 0
    external_payment_cents: int = 0
    credited_cents: int = 0
    written_off_cents: int = 0
    notes: str | None = None
    memo: str | None = None
    note_to_customer: str | None = None
    terms: str | None = None
    tags: tuple[str, ...] = ()
    category: str | None = None
    project: str | None = None
    exclude_from_autopay: bool = False
    source_type: SourceType = "api"
    pdf_source: PdfSource | None = None
    pdf_key: str | None = None
    sent_at: datetime | None = None
    last_notification_at: datetime | None = None
    published_at: datetime | None = None
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    lines: tuple[Line, ...] = ()
    applications: tuple[Application, ...] = ()

    @property
    def is_issued(self) -> bool:
        """Published, and not cancelled."""
        return self.status not in {"draft", "cancelled"}

    @property
    def is_open(self) -> bool:
        """Issued, and something is due on it."""
        return self.is_issued and self.amount_due_cents > 0

    @property
    def settled_cents(self) -> int:
        """What is paid, credited or written off by whatever way but the one that the caller may edit."""
        return self.matched_cents + self.credited_cents + self.written_off_cents

    @property
    def paid_cents(self) -> int:
        """What was paid, here or outside."""
        return self.matched_cents + self.external_payment_cents

    @property
    def price_terms(self) -> Terms:
        """What the header says about the price, with the tax rates as they stood."""
        return Terms(
            tax_type=self.tax_type,
            rates=tuple(
                TaxRate(id=tax.tax_rate_id, name=tax.name, rate=tax.rate)
                for rate_id in self.tax_rate_ids
                for tax in self.taxes
                if tax.tax_rate_id == rate_id
            ),
            given_tax_cents=self.given_tax_cents,
            discount=Discount(type=self.discount_type, value=self.discount_value),
            adjustment_cents=self.adjustment_cents,
        )


def is_overdue(invoice: Receivable, today: date) -> bool:
    """Something is due and the day has passed; due today is not overdue."""
    return invoice.is_open and invoice.due_date < today


def is_partially_paid(invoice: Receivable) -> bool:
    """Something was paid or credited, and something is still due."""
    return invoice.amount_due_cents > 0 and _something_paid(invoice)


def status_of(invoice: Receivable, today: date) -> Status:
    """The first that holds, in the order of docs/accounting.md."""
    if not invoice.is_issued or invoice.status_pinned:
        return invoice.status
    if invoice.amount_due_cents == 0:
        return "paid"
    if invoice.disputed or invoice.hand_status == "in_dispute":
        return "in_dispute"
    if invoice.in_plan or invoice.hand_status == "in_payment_plan":
        return "in_payment_plan"
    if invoice.due_date < today:
        return "overdue"
    if _something_paid(invoice):
        return "partial"
    return "pending"


def balanced(invoice: Receivable, today: date) -> Receivable:
    """The invoice with what follows from its facts: amount = due + matched + external + credited + written off."""
    due_cents = invoice.amount_cents - invoice.settled_cents - invoice.external_payment_cents
    if due_cents < 0:
        raise MoneyApplied(settled=major(invoice.settled_cents + invoice.external_payment_cents))
    with_due = msgspec.structs.replace(invoice, amount_due_cents=due_cents)
    return msgspec.structs.replace(with_due, status=status_of(with_due, today))


def priced(invoice: Receivable, price: Price) -> Receivable:
    """The invoice with a new price; it must come to more than zero."""
    if price.total_cents <= 0:
        raise TotalNotPositive(total=major(price.total_cents))
    if price.total_cents > MAX_CENTS:
        raise TotalTooLarge(total=major(price.total_cents))
    return msgspec.structs.replace(
        invoice,
        lines=price.lines,
        taxes=price.taxes,
        subtotal_cents=price.subtotal_cents,
        discount_cents=price.discount_cents,
        tax_cents=price.tax_cents,
        adjustment_cents=price.adjustment_cents,
        amount_cents=price.total_cents,
    )


def billed(invoice: Receivable) -> ledger.Billed:
    """What issuing it posts: the lines' net by revenue account, or the subtotal where there are no lines."""
    revenue = ledger.system_account(invoice.tenant_id, ledger.REVENUE)
    revenues: dict[UUID, int] = {}
    for line in invoice.lines:
        account = line.account_id or revenue
        revenues[account] = revenues.get(account, 0) + line.net_cents
    return ledger.Billed(
        tenant_id=invoice.tenant_id,
        invoice_id=invoice.id,
        version=invoice.version,
        issue_date=invoice.issue_date,
        currency=invoice.currency,
        total_cents=invoice.amount_cents,
        discount_cents=invoice.discount_cents,
        tax_cents=invoice.tax_cents,
        adjustment_cents=invoice.adjustment_cents,
        revenue_cents=revenues or {revenue: invoice.subtotal_cents},
    )


def external(invoice: Receivable) -> ledger.Movement:
    """What was paid outside, as the ledger sees it."""
    return ledger.Movement(
        tenant_id=invoice.tenant_id,
        source=f"external:{invoice.id}:v{invoice.version}",
        entry_date=invoice.issue_date,
        currency=invoice.currency,
        amount_cents=invoice.external_payment_cents,
        invoice_id=invoice.id,
    )


def _something_paid(invoice: Receivable) -> bool:
    return invoice.matched_cents + invoice.external_payment_cents + invoice.credited_cents > 0
