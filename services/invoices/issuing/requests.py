"""What callers send to make and change invoices."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.invoices.lines.model import DiscountType, TaxType
from services.invoices.settlement.model import Status
from shared.http.bodies import Body
from shared.money import Bounded, Money, PositiveMoney, Quantity, Rate, SignedMoney, UnitPrice

MAX_LINES = 1000

Text = Annotated[str, Meta(min_length=1, max_length=500)]
LongText = Annotated[str, Meta(max_length=10_000)]
Number = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^\S(.*\S)?\Z")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217")]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=50)]
RateIds = Annotated[list[UUID], Meta(max_length=20)]


class DiscountValue(Bounded):
    """Major units where the discount is fixed, percent where it is a percentage."""

    MINIMUM: ClassVar[Decimal] = Decimal(0)
    MAXIMUM: ClassVar[Decimal] = Decimal("9999999999.99")


class LineCreate(Body, frozen=True, kw_only=True):
    """A line: `unit_price` times `quantity`, or `line_amount`."""

    description: Text
    quantity: Quantity = msgspec.field(default_factory=lambda: Quantity(1))  # msgspec cannot show a Quantity as default
    unit_price: UnitPrice | None = None
    line_amount: SignedMoney | None = None
    unit: Annotated[str, Meta(max_length=50)] | None = None
    long_description: LongText | None = None
    product_id: UUID | None = None
    account_id: UUID | None = None
    taxable: bool | None = None
    tax_rate_id: UUID | None = None
    discount_type: DiscountType | None = None
    discount_value: DiscountValue | None = None


class InvoiceCreate(Body, frozen=True, kw_only=True):
    """A new invoice, by `amount` or by `line_items`."""

    customer_id: UUID
    due_date: date | None = None
    amount: PositiveMoney | None = None
    line_items: Annotated[list[LineCreate], Meta(max_length=MAX_LINES)] | None = None
    invoice_number: Number | None = None
    customer_name: Text | None = None
    customer_address: LongText | None = None
    amount_due: Money | None = None
    tax_amount: Money | None = None
    tax_rate: Rate | None = None
    discount_amount: Money | None = None
    currency: Currency | None = None
    issue_date: date | None = None
    status: Status = "pending"
    notes: LongText | None = None
    memo: LongText | None = None
    note_to_customer: LongText | None = None
    terms: LongText | None = None
    tags: Tags | None = None
    category: Text | None = None
    project: Text | None = None
    exclude_from_autopay: bool | None = None
    generate_pdf: bool | None = None
    tax_type: TaxType | None = None
    tax_rate_ids: RateIds | None = None
    discount_type: DiscountType | None = None
    discount_value: DiscountValue | None = None
    adjustment_amount: SignedMoney | None = None
    adjustment_description: Text | None = None


class LinePatch(Body, frozen=True, kw_only=True):
    """A line to update (with `id`), to add (without) or to remove (`_destroy`)."""

    id: UUID | None = None
    destroy: bool = msgspec.field(name="_destroy", default=False)
    description: Text | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    unit_price: UnitPrice | UnsetType | None = UNSET
    line_amount: SignedMoney | UnsetType | None = UNSET
    unit: Annotated[str, Meta(max_length=50)] | UnsetType | None = UNSET
    long_description: LongText | UnsetType | None = UNSET
    product_id: UUID | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET
    taxable: bool | UnsetType | None = UNSET
    tax_rate_id: UUID | UnsetType | None = UNSET
    discount_type: DiscountType | UnsetType | None = UNSET
    discount_value: DiscountValue | UnsetType | None = UNSET


class PricePatch(Body, frozen=True, kw_only=True):
    """The fields that change what an invoice comes to."""

    amount: PositiveMoney | UnsetType = UNSET
    tax_amount: Money | UnsetType | None = UNSET
    tax_rate: Rate | UnsetType | None = UNSET
    tax_type: TaxType | UnsetType | None = UNSET
    tax_rate_ids: RateIds | UnsetType | None = UNSET
    discount_amount: Money | UnsetType | None = UNSET
    discount_type: DiscountType | UnsetType | None = UNSET
    discount_value: DiscountValue | UnsetType | None = UNSET
    adjustment_amount: SignedMoney | UnsetType | None = UNSET
    adjustment_description: Text | UnsetType | None = UNSET


class InvoicePatch(PricePatch, frozen=True, kw_only=True):
    """The fields to change; null clears an optional one, an absent one is left alone."""

    customer_id: UUID | UnsetType = UNSET
    customer_name: Text | UnsetType = UNSET
    customer_address: LongText | UnsetType | None = UNSET
    invoice_number: Number | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    issue_date: date | UnsetType = UNSET
    due_date: date | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    amount_due: Money | UnsetType = UNSET
    external_payment_amount: Money | UnsetType = UNSET
    line_items: Annotated[list[LinePatch], Meta(max_length=MAX_LINES)] | UnsetType = UNSET
    notes: LongText | UnsetType | None = UNSET
    memo: LongText | UnsetType | None = UNSET
    note_to_customer: LongText | UnsetType | None = UNSET
    terms: LongText | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    category: Text | UnsetType | None = UNSET
    project: Text | UnsetType | None = UNSET
    exclude_from_autopay: bool | UnsetType | None = UNSET


class LineItemsReplace(PricePatch, frozen=True, kw_only=True):
    """All lines, tax rates and discounts of an invoice, in place of what was there."""

    line_items: Annotated[list[LinePatch], Meta(min_length=1, max_length=MAX_LINES)]


class InvoiceClone(Body, frozen=True, kw_only=True):
    """What the copy has of its own."""

    customer_id: UUID
    issue_date: date
    due_date: date
    project: Text | None = None


class WriteOff(Body, frozen=True, kw_only=True):
    """Why the rest of an invoice is given up."""

    reason: Text


class StatusSet(Body, frozen=True, kw_only=True):
    """A status that sticks, or null to let it follow from the facts again."""

    status: Status | None


class TagsSet(Body, frozen=True, kw_only=True):
    """The titles of all tags of the invoice."""

    tags: Tags


class Send(Body, frozen=True, kw_only=True):
    """By which template, and when."""

    template_id: UUID
    scheduled_date: Annotated[datetime, Meta(tz=True)] | None = None
    cc_self: bool = False


class Nothing(Body, frozen=True, kw_only=True):
    """No fields; the body may be left out."""
