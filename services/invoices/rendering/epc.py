"""The EPC QR code ("GiroCode", EPC069-12 version 2): a SEPA transfer, filled in, for the customer's banking app."""

import io

import segno

from services.invoices.rendering.bank import find_bic, find_iban
from services.invoices.rendering.model import Bill

MAX_CENTS = 99_999_999_999
"""999,999,999.99 EUR, the most that one SEPA credit transfer carries."""
MASK = 3
"""Any of the eight masks can be read. Trying them all for the prettiest takes longer than setting the whole page."""


def payment_code(bill: Bill) -> str | None:
    """The code as SVG; None where the bill is not in euros, has nothing due, or no IBAN is known."""
    iban = find_iban(bill.brand.bank_details)
    if bill.kind != "invoice" or bill.currency != "EUR" or iban is None or not 0 < bill.due_cents <= MAX_CENTS:
        return None
    code = segno.make_qr(payload(bill, iban), error="m", boost_error=False, mask=MASK)
    out = io.BytesIO()
    code.save(out, kind="svg", border=0, xmldecl=False, svgclass=None, lineclass=None)
    return out.getvalue().decode()


def payload(bill: Bill, iban: str) -> str:
    """The fields of the code, one a line: service tag, version, UTF-8, transfer, BIC, name, IBAN, amount, …, text."""
    amount = f"EUR{bill.due_cents // 100}.{bill.due_cents % 100:02d}"
    name = _one_line(bill.brand.company_name)[:70] or "-"
    fields = (
        "BCD",
        "002",
        "1",
        "SCT",
        find_bic(bill.brand.bank_details) or "",
        name,
        iban,
        amount,
        "",
        "",
        bill.number or "",
    )
    return "\n".join(fields)


def _one_line(text: str) -> str:
    """The code's fields end at line breaks."""
    return " ".join(text.split())
