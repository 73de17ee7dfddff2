"""An invoice as the struct that its documents are made from: pure."""

import base64
from collections.abc import Iterable
from decimal import Decimal

from services.invoices.lines.model import Line as StoredLine
from services.invoices.rendering.model import Bill, Brand, Line, Party, Settled, Tax
from services.invoices.settings.model import Branding
from services.invoices.settlement.model import Receivable


def bill_of(invoice: Receivable, brand: Brand, *, pay_url: str | None) -> Bill:
    """The bill that an invoice is."""
    return Bill(
        number=invoice.invoice_number,
        issue_date=invoice.issue_date,
        due_date=invoice.due_date,
        currency=invoice.currency,
        status=invoice.status,
        brand=brand,
        customer=Party(name=invoice.customer_name, address=invoice.customer_address or "", email=invoice.email or ""),
        lines=tuple(_line(line, invoice) for line in invoice.lines) or (_only_line(invoice),),
        subtotal_cents=invoice.subtotal_cents,
        discount_cents=invoice.discount_cents,
        discount_text=_discount_text(invoice),
        taxes=_taxes(invoice),
        adjustment_cents=invoice.adjustment_cents,
        adjustment_text=invoice.adjustment_description or "Adjustment",
        total_cents=invoice.amount_cents,
        due_cents=invoice.amount_due_cents,
        settled=tuple(_settled(invoice)),
        project=invoice.project or "",
        memo=invoice.memo or "",
        note=invoice.note_to_customer or "",
        terms=invoice.terms or "",
        pay_url=pay_url,
    )


def _line(line: StoredLine, invoice: Receivable) -> Line:
    return Line(
        description=line.description,
        long_description=line.long_description or "",
        quantity=line.quantity,
        unit=line.unit or "",
        unit_price=line.unit_price,
        discount_cents=line.discount_cents,
        amount_cents=line.net_cents,
        tax_rate=_rate(line, invoice),
    )


def _rate(line: StoredLine, invoice: Receivable) -> Decimal | None:
    """One rate is shown beside the line; of several on top of each other the sums tell."""
    rates = line.rates(invoice.price_terms.rates)
    return rates[0].rate if len(rates) == 1 else None


def _only_line(invoice: Receivable) -> Line:
    """An invoice by its amount alone still says what it is for."""
    text = invoice.memo or invoice.project or invoice.category or "As agreed"
    return Line(description=" ".join(text.split())[:200], amount_cents=invoice.subtotal_cents, tax_rate=None)


def _discount_text(invoice: Receivable) -> str:
    if invoice.discount_type == "percentage":
        return f"Discount {invoice.discount_value.normalize():f}\u00a0%"
    return "Discount"


def _taxes(invoice: Receivable) -> tuple[Tax, ...]:
    if invoice.taxes:
        return tuple(
            Tax(name=tax.name, rate=tax.rate, base_cents=tax.taxable_cents, tax_cents=tax.tax_cents)
            for tax in invoice.taxes
        )
    if not invoice.tax_cents:
        return ()
    return (Tax(name="Tax", rate=invoice.tax_rate, tax_cents=invoice.tax_cents),)


def _settled(invoice: Receivable) -> Iterable[Settled]:
    for one in invoice.applications:
        yield Settled(date=one.payment_date, text=_payment_text(one.payment_method), amount_cents=one.applied_cents)
    rest = (
        ("Paid elsewhere", invoice.external_payment_cents),
        ("Credited", invoice.credited_cents),
        ("Waived", invoice.written_off_cents),
    )
    for text, cents in rest:
        if cents:
            yield Settled(date=None, text=text, amount_cents=cents)


def _payment_text(method: str | None) -> str:
    return f"Payment by {method.replace('_', ' ')}" if method and method != "other" else "Payment"


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
