"""The invoice as the API shows it, which is also what its events carry, and the events themselves."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.invoices.lines.events import LineItem, line_item
from services.invoices.lines.model import DiscountType, TaxType
from services.invoices.settlement.model import (
    Application,
    PdfSource,
    Receivable,
    SourceType,
    Status,
    is_overdue,
    is_partially_paid,
)
from shared.events import EventType, NewEvent
from shared.money import major


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Who is billed."""

    id: UUID
    display_name: str
    email: str | None


class TaxAmount(msgspec.Struct, frozen=True, kw_only=True):
    """What one tax rate comes to. `rate` is a fraction: 0.09975 is 9.975 %."""

    tax_rate_id: UUID
    name: str
    rate: Decimal
    taxable_amount: Decimal
    amount: Decimal


class PaymentOnInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a payment that is on the invoice."""

    allocation_id: UUID
    payment_id: UUID
    amount: Decimal
    written_off_amount: Decimal
    payment_date: date
    payment_method: str | None
    payer_name: str | None
    payer_reference: str | None
    applied_at: datetime


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """total = subtotal − discount + tax + adjustment."""

    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    adjustment: Decimal
    total: Decimal
    paid: Decimal
    due: Decimal


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice. Lists leave out `line_items` and `payments`."""

    id: UUID
    invoice_number: str | None
    customer_id: UUID
    customer_name: str
    customer_address: str | None
    customer: Recipient
    currency: str
    issue_date: date
    due_date: date
    status: Status
    status_pinned: bool
    is_overdue: bool
    is_partially_paid: bool
    subtotal: Decimal
    discount_type: DiscountType
    discount_value: Decimal
    discount_amount: Decimal
    tax_type: TaxType
    tax_rate_ids: list[UUID]
    tax_rate: Decimal | None
    tax_amount: Decimal
    adjustment_amount: Decimal
    adjustment_description: str | None
    amount: Decimal
    amount_due: Decimal
    amount_paid: Decimal
    external_payment_amount: Decimal
    credited_amount: Decimal
    written_off_amount: Decimal
    totals: Totals
    taxes: list[TaxAmount]
    notes: str | None
    memo: str | None
    note_to_customer: str | None
    terms: str | None
    tags: list[str]
    category: str | None
    project: str | None
    exclude_from_autopay: bool
    source_type: SourceType
    pdf_source: PdfSource | None
    pdf_url: str | None
    sent_at: datetime | None
    last_notification_at: datetime | None
    published_at: datetime | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    line_items: list[LineItem] | UnsetType = UNSET
    payments: list[PaymentOnInvoice] | UnsetType = UNSET


INVOICE_CREATED = EventType("invoice.created", Invoice, "An invoice was made.")
INVOICE_UPDATED = EventType("invoice.updated", Invoice, "A field, the balance or the status of an invoice changed.")
INVOICE_ISSUED = EventType("invoice.issued", Invoice, "An invoice became binding and was posted to the ledger.")
INVOICE_SENT = EventType("invoice.sent", Invoice, "An invoice was emailed to its customer.")
INVOICE_PAID = EventType("invoice.paid", Invoice, "Nothing is due on an invoice any more.")
INVOICE_OVERDUE = EventType("invoice.overdue", Invoice, "The due date of an invoice passed with something due.")
INVOICE_VOIDED = EventType("invoice.voided", Invoice, "An invoice was cancelled and its postings reversed.")
INVOICE_WRITTEN_OFF = EventType("invoice.written_off", Invoice, "The rest of an invoice became bad debt.")
INVOICE_ARCHIVED = EventType("invoice.archived", Invoice, "An invoice was put away.")
INVOICE_RESTORED = EventType("invoice.restored", Invoice, "An archived invoice came back.")

EVENTS: tuple[EventType[Invoice], ...] = (
    INVOICE_CREATED,
    INVOICE_UPDATED,
    INVOICE_ISSUED,
    INVOICE_SENT,
    INVOICE_PAID,
    INVOICE_OVERDUE,
    INVOICE_VOIDED,
    INVOICE_WRITTEN_OFF,
    INVOICE_ARCHIVED,
    INVOICE_RESTORED,
)

# what changes with every change and so tells nothing, or repeats other fields
SILENT = frozenset({"version", "updated_at", "totals", "payments"})


def announce(kind: EventType[Invoice], tenant_id: UUID, invoice: Invoice) -> NewEvent:
    """A fact about an invoice, with the whole invoice in it."""
    return kind.new(tenant_id=tenant_id, subject=invoice.id, sequence=invoice.version, data=invoice)


def updated(tenant_id: UUID, before: Invoice, after: Invoice) -> NewEvent:
    """The update from one state to the next, naming each field that changed."""
    return INVOICE_UPDATED.new(
        tenant_id=tenant_id, subject=after.id, sequence=after.version, data=after, changes=changes(before, after)
    )


def changes(before: Invoice, after: Invoice) -> dict[str, list[object]]:
    """`{field: [before, after]}` of every field that differs."""
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in Invoice.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if name not in SILENT and pair[0] != pair[1]}


def invoice_of(receivable: Receivable, today: date, *, whole: bool = True) -> Invoice:
    """The public shape of an invoice; `whole` with its lines and payments."""
    discount = major(receivable.discount_cents)
    return Invoice(
        id=receivable.id,
        invoice_number=receivable.invoice_number,
        customer_id=receivable.customer_id,
        customer_name=receivable.customer_name,
        customer_address=receivable.customer_address,
        customer=Recipient(id=receivable.customer_id, display_name=receivable.customer_name, email=receivable.email),
        currency=receivable.currency,
        issue_date=receivable.issue_date,
        due_date=receivable.due_date,
        status=receivable.status,
        status_pinned=receivable.status_pinned,
        is_overdue=is_overdue(receivable, today),
        is_partially_paid=is_partially_paid(receivable),
        subtotal=major(receivable.subtotal_cents),
        discount_type=receivable.discount_type,
        discount_value=receivable.discount_value,
        discount_amount=discount,
        tax_type=receivable.tax_type,
        tax_rate_ids=list(receivable.tax_rate_ids),
        tax_rate=receivable.tax_rate,
        tax_amount=major(receivable.tax_cents),
        adjustment_amount=major(receivable.adjustment_cents),
        adjustment_description=receivable.adjustment_description,
        amount=major(receivable.amount_cents),
        amount_due=major(receivable.amount_due_cents),
        amount_paid=major(receivable.paid_cents),
        external_payment_amount=major(receivable.external_payment_cents),
        credited_amount=major(receivable.credited_cents),
        written_off_amount=major(receivable.written_off_cents),
        totals=totals(receivable),
        taxes=_taxes(receivable),
        notes=receivable.notes,
        memo=receivable.memo,
        note_to_customer=receivable.note_to_customer,
        terms=receivable.terms,
        tags=list(receivable.tags),
        category=receivable.category,
        project=receivable.project,
        exclude_from_autopay=receivable.exclude_from_autopay,
        source_type=receivable.source_type,
        pdf_source=receivable.pdf_source,
        pdf_url=f"/v1/invoices/{receivable.id}/pdf-link" if receivable.pdf_key else None,
        sent_at=receivable.sent_at,
        last_notification_at=receivable.last_notification_at,
        published_at=receivable.published_at,
        archived_at=receivable.archived_at,
        created_at=receivable.created_at,
        updated_at=receivable.updated_at,
        version=receivable.version,
        line_items=[line_item(line) for line in receivable.lines] if whole else UNSET,
        payments=[_payment(application) for application in receivable.applications] if whole else UNSET,
    )


def totals(receivable: Receivable) -> Totals:
    """What it all comes to."""
    return Totals(
        subtotal=major(receivable.subtotal_cents),
        discount=major(receivable.discount_cents),
        tax=major(receivable.tax_cents),
        adjustment=major(receivable.adjustment_cents),
        total=major(receivable.amount_cents),
        paid=major(receivable.paid_cents),
        due=major(receivable.amount_due_cents),
    )


def _taxes(receivable: Receivable) -> list[TaxAmount]:
    return [
        TaxAmount(
            tax_rate_id=tax.tax_rate_id,
            name=tax.name,
            rate=tax.rate,
            taxable_amount=major(tax.taxable_cents),
            amount=major(tax.tax_cents),
        )
        for tax in receivable.taxes
    ]


def _payment(application: Application) -> PaymentOnInvoice:
    return PaymentOnInvoice(
        allocation_id=application.allocation_id,
        payment_id=application.payment_id,
        amount=major(application.applied_cents),
        written_off_amount=major(application.write_off_cents),
        payment_date=application.payment_date,
        payment_method=application.payment_method,
        payer_name=application.payer_name,
        payer_reference=application.payer_reference,
        applied_at=application.created_at,
    )
