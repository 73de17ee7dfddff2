"""How a request becomes an invoice, and how an invoice changes: pure, with everything looked up beforehand."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from services.invoices.issuing import errors
from services.invoices.issuing.plain import plain
from services.invoices.issuing.requests import InvoiceCreate, LineCreate
from services.invoices.lines.errors import LineUnpriced
from services.invoices.lines.model import Discount, DiscountType, Line, Price, Terms, price, price_of_amount
from services.invoices.recipients.model import Recipient
from services.invoices.settlement.model import HandStatus, Moment, Receivable, Status, balanced, priced
from services.invoices.tax.model import TaxRate
from shared.ids import uuid7
from shared.money import major, round_half_up

TOLERANCE_CENTS = 1
"""How far an amount may be from what the lines come to (docs/api.md, create)."""

PERCENT = Decimal(100)
HELD: Mapping[Status, HandStatus] = {"in_dispute": "in_dispute", "in_payment_plan": "in_payment_plan"}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant's settings that invoices are made with."""

    invoice_prefix: str
    number_on: str
    payment_terms_days: int
    timezone: str
    currency: str
    multi_currency: bool

    def prefix_for(self, invoice: Receivable) -> str | None:
        """The prefix of the number that a new invoice takes; None where it has one or gets none yet."""
        waits = invoice.status == "draft" and self.number_on == "issue"
        return None if invoice.invoice_number or waits else self.invoice_prefix


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What a line takes from its product where it says nothing itself."""

    id: UUID
    unit_price: Decimal | None
    unit: str | None
    account_id: UUID | None
    taxable: bool
    tax_rate_id: UUID | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a line may name."""

    id: UUID
    code: str
    type: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the tenant has of all that a request names."""

    version: int
    """Raised by every change of what a tenant has."""
    settings: Settings
    recipients: tuple[Recipient, ...] = ()
    rates: tuple[TaxRate, ...] = ()
    products: tuple[Product, ...] = ()
    accounts: tuple[Account, ...] = ()

    def recipient(self, customer_id: UUID) -> Recipient:
        """A customer; raises CustomerUnknown."""
        found = next((one for one in self.recipients if one.customer_id == customer_id), None)
        if found is None:
            raise errors.CustomerUnknown(customer_id=customer_id, field="customer_id")
        return found

    def rate(self, rate_id: UUID, field: str) -> TaxRate:
        """A tax rate; raises TaxRateUnknown naming the field."""
        found = next((rate for rate in self.rates if rate.id == rate_id), None)
        if found is None:
            raise errors.TaxRateUnknown(tax_rate_id=rate_id, field=field)
        return found

    def product(self, product_id: UUID, field: str) -> Product:
        """A product; raises ProductUnknown naming the field."""
        found = next((product for product in self.products if product.id == product_id), None)
        if found is None:
            raise errors.ProductUnknown(product_id=product_id, field=field)
        return found

    def revenue_account(self, account_id: UUID, field: str) -> UUID:
        """An account that revenue can be booked on; raises AccountUnknown or AccountNotIncome."""
        found = next((account for account in self.accounts if account.id == account_id), None)
        if found is None:
            raise errors.AccountUnknown(account_id=account_id, field=field)
        if found.type != "income":
            raise errors.AccountNotIncome(code=found.code, type=found.type, field=field)
        return found.id


def new_invoice(
    tenant_id: UUID, body: InvoiceCreate, facts: Facts, *, moment: Moment, invoice_id: UUID | None = None
) -> Receivable:
    """The invoice that a request asks for, priced and balanced; its number is still to be taken."""
    recipient = facts.recipient(body.customer_id)
    issue_date = body.issue_date or moment.today
    invoice = Receivable(
        tenant_id=tenant_id,
        id=invoice_id or uuid7(),
        version=1,
        invoice_number=body.invoice_number,
        customer_id=body.customer_id,
        customer_name=body.customer_name or recipient.display_name,
        customer_address=body.customer_address or recipient.address,
        currency=currency_of(body.currency, facts.settings),
        issue_date=issue_date,
        due_date=body.due_date or default_due_date(issue_date, recipient, facts.settings),
        status=body.status if body.status in {"draft", "cancelled"} else "pending",
        hand_status=HELD.get(body.status),
        by_lines=bool(body.line_items),
        tax_type=body.tax_type or "summary",
        tax_rate_ids=tuple(dict.fromkeys(body.tax_rate_ids or ())),
        tax_rate=plain(body.tax_rate),
        adjustment_description=body.adjustment_description,
        subtotal_cents=0,
        amount_cents=0,
        notes=body.notes,
        memo=body.memo,
        note_to_customer=body.note_to_customer,
        terms=body.terms,
        tags=tuple(dict.fromkeys(body.tags or ())),
        category=body.category,
        project=body.project,
        exclude_from_autopay=bool(body.exclude_from_autopay),
        created_at=moment.now,
        updated_at=moment.now,
        published_at=None if body.status in {"draft", "cancelled"} else moment.now,
        email=recipient.email,
    )
    with_price = _price_new(invoice, body, facts)
    return balanced(_paid_outside(with_price, body.amount_due), moment.today)


def currency_of(wanted: str | None, settings: Settings) -> str:
    """The invoice's currency: the tenant's, unless several are switched on."""
    if wanted is not None and wanted != settings.currency and not settings.multi_currency:
        raise errors.CurrencyNotEnabled(currency=settings.currency, field="currency")
    return wanted or settings.currency


def default_due_date(issue_date: date, recipient: Recipient, settings: Settings) -> date:
    """Issue date plus the customer's payment terms, or else the tenant's."""
    days = settings.payment_terms_days if recipient.payment_terms_days is None else recipient.payment_terms_days
    return issue_date + timedelta(days=min(days, (date.max - issue_date).days))


def discount_of(
    kind: DiscountType | None, value: Decimal | None, given_cents: int | None, *, field: str = ""
) -> Discount:
    """The discount that a request names, by type and value or as a plain amount."""
    if kind is None:
        kind = "fixed" if value or given_cents else "none"
    if kind == "fixed" and value is None and given_cents is not None:
        value = major(given_cents)
    if kind == "none":
        return Discount()
    value = value or Decimal(0)
    if (kind == "percentage" and value > PERCENT) or (kind == "fixed" and major(round_half_up(value)) != value):
        raise errors.DiscountInvalid(field=f"{field}discount_value")
    return Discount(type=kind, value=plain(value))


def new_lines(bodies: Sequence[LineCreate], facts: Facts) -> tuple[Line, ...]:
    """The lines that a request asks for, with what their products add."""
    return tuple(new_line(body, i, facts) for i, body in enumerate(bodies))


def new_line(body: LineCreate, position: int, facts: Facts) -> Line:
    """One line that a request asks for; `position` is its place in the request."""
    field = f"line_items[{position}]."
    product = facts.product(body.product_id, f"{field}product_id") if body.product_id else None
    unit_price = body.unit_price if body.unit_price is not None else product.unit_price if product else None
    if unit_price is None and body.line_amount is None:
        raise LineUnpriced(field=f"{field}unit_price")
    account_id = body.account_id or (product.account_id if product else None)
    rate_id = body.tax_rate_id or (product.tax_rate_id if product else None)
    rate = facts.rate(rate_id, f"{field}tax_rate_id") if rate_id else None
    discount = discount_of(body.discount_type, body.discount_value, None, field=field)
    taxable = body.taxable if body.taxable is not None else product.taxable if product else True
    return Line(
        id=uuid7(),
        position=position,
        description=body.description,
        long_description=body.long_description,
        quantity=plain(body.quantity),
        unit=body.unit or (product.unit if product else None),
        unit_price=plain(unit_price),
        given_amount_cents=plain(body.line_amount),
        product_id=body.product_id,
        account_id=facts.revenue_account(account_id, f"{field}account_id") if account_id else None,
        taxable=taxable,
        tax_rate_id=rate.id if rate else None,
        tax_rate=rate.rate if rate else None,
        tax_name=rate.name if rate else None,
        discount_type=discount.type,
        discount_value=discount.value,
    )


def _price_new(invoice: Receivable, body: InvoiceCreate, facts: Facts) -> Receivable:
    if not body.line_items and body.amount is None:
        raise errors.AmountOrLinesRequired(field="amount")
    lines = new_lines(body.line_items or (), facts)
    rates = tuple(facts.rate(rate_id, f"tax_rate_ids[{i}]") for i, rate_id in enumerate(invoice.tax_rate_ids))
    discount = discount_of(body.discount_type, body.discount_value, body.discount_amount)
    terms = Terms(
        tax_type=invoice.tax_type,
        rates=rates,
        given_tax_cents=plain(body.tax_amount),
        discount=discount,
        adjustment_cents=plain(body.adjustment_amount) or 0,
    )
    return reprice(
        invoice,
        lines,
        terms,
        amount_cents=plain(body.amount),
        discount_cents=body.discount_amount,
        by_lines=bool(lines),
    )


def reprice(
    invoice: Receivable,
    lines: Sequence[Line],
    terms: Terms,
    *,
    amount_cents: int | None,
    discount_cents: int | None,
    by_lines: bool,
) -> Receivable:
    """The invoice at the price that lines and terms come to; given amounts must agree with it."""
    if by_lines:
        came_to = price(lines, terms)
        _check_amounts(came_to, terms, amount_cents, discount_cents)
    else:
        assert amount_cents is not None
        came_to = _price_by_amount(amount_cents, terms, discount_cents)
    with_terms = msgspec.structs.replace(
        invoice,
        by_lines=by_lines,
        tax_type=terms.tax_type,
        tax_rate_ids=tuple(rate.id for rate in terms.rates),
        given_tax_cents=None if came_to.taxes else terms.given_tax_cents,
        discount_type=terms.discount.type,
        discount_value=terms.discount.value,
    )
    return priced(with_terms, came_to)


def _price_by_amount(amount_cents: int, terms: Terms, discount_cents: int | None) -> Price:
    if terms.rates:
        raise errors.TaxRatesNeedLines(field="tax_rate_ids")
    came_to = price_of_amount(amount_cents, terms)
    if came_to.subtotal_cents - came_to.discount_cents < 0:
        raise errors.PartsExceedAmount(field="tax_amount")
    _check_discount(came_to, discount_cents)
    return came_to


def _check_amounts(came_to: Price, terms: Terms, amount_cents: int | None, discount_cents: int | None) -> None:
    _check_discount(came_to, discount_cents)
    given_tax_cents = terms.given_tax_cents
    if given_tax_cents is not None and _differ(given_tax_cents, came_to.tax_cents):
        raise errors.TaxMismatch(tax_amount=major(given_tax_cents), tax=major(came_to.tax_cents), field="tax_amount")
    if amount_cents is not None and _differ(amount_cents, came_to.total_cents):
        raise errors.AmountMismatch(amount=major(amount_cents), total=major(came_to.total_cents), field="amount")


def _check_discount(came_to: Price, discount_cents: int | None) -> None:
    if discount_cents is not None and _differ(discount_cents, came_to.discount_cents):
        raise errors.DiscountMismatch(
            discount_amount=major(discount_cents), discount=major(came_to.discount_cents), field="discount_amount"
        )


def _differ(given_cents: int, worked_out_cents: int) -> bool:
    return abs(given_cents - worked_out_cents) > TOLERANCE_CENTS


def _paid_outside(invoice: Receivable, amount_due_cents: int | None) -> Receivable:
    """An amount due below the amount: the difference was paid outside."""
    if amount_due_cents is None:
        return invoice
    external_cents = invoice.amount_cents - amount_due_cents
    if external_cents < -TOLERANCE_CENTS:
        raise errors.AmountDueTooLarge(
            amount_due=major(amount_due_cents), amount=major(invoice.amount_cents), field="amount_due"
        )
    return msgspec.structs.replace(invoice, external_payment_cents=max(external_cents, 0))
