"""A credit note as the struct that its document is set from: pure."""

from decimal import Decimal

from services.invoices.credits.events import CreditNote
from services.invoices.rendering.documents import Subject
from services.invoices.rendering.model import Bill, Line, Party, Tax
from shared.money import round_half_up

ONE = Decimal(1)
"""An amount that was credited without a quantity is one of it."""


def bill_of(note: CreditNote, corrected: Subject) -> Bill:
    """The bill that a credit note is; it names and addresses what its invoice does."""
    invoice = corrected.invoice
    subtotal_cents, tax_cents = round_half_up(note.subtotal), round_half_up(note.tax_amount)
    return Bill(
        kind="credit_note",
        number=note.credit_note_number,
        issue_date=note.date,
        currency=note.currency,
        brand=corrected.brand,
        customer=Party(name=invoice.customer_name, address=invoice.customer_address or "", email=invoice.email or ""),
        lines=_lines(note, corrected, subtotal_cents),
        subtotal_cents=subtotal_cents,
        taxes=(Tax(name="Tax", tax_cents=tax_cents),) if tax_cents else (),
        total_cents=round_half_up(note.amount),
        due_cents=0,
        project=invoice.project or "",
        reason=note.reason,
        corrects=invoice.invoice_number or "",
    )


def _lines(note: CreditNote, corrected: Subject, subtotal_cents: int) -> tuple[Line, ...]:
    """What is taken back of each line; what stands on none is one line of its own."""
    texts = {line.id: line for line in corrected.invoice.lines}
    lines = [
        Line(
            description=texts[line.line_item_id].description if line.line_item_id in texts else "Line of the invoice",
            unit=(texts[line.line_item_id].unit or "") if line.line_item_id in texts and line.quantity else "",
            quantity=line.quantity or ONE,
            amount_cents=round_half_up(line.amount),
        )
        for line in note.lines
    ]
    rest_cents = subtotal_cents - sum(line.amount_cents for line in lines)
    if rest_cents or not lines:
        lines.append(Line(description=f"Credit on invoice {corrected.invoice.invoice_number}", amount_cents=rest_cents))
    return tuple(lines)
