"""From a document's meaning to its printed texts: dates, amounts and rates as the strings that the template sets."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from services.invoices.rendering.epc import payment_code
from services.invoices.rendering.model import Bill, Brand, Line, Party, Statement, Tax

LETTER_CURRENCIES = frozenset({"USD", "CAD", "MXN", "COP", "CLP", "PHP"})
"""Where Letter is the usual paper; everywhere else it is A4."""

CJK = {"JP": ("\u3040", "\u30ff"), "KR": ("\uac00", "\ud7a3")}
"""Kana and Hangul tell which of the national forms of the shared Han characters a text wants."""

WATERMARKS = {"draft": "DRAFT", "cancelled": "VOID"}


def bill_data(bill: Bill) -> dict[str, Any]:
    """What `bill.typ` prints."""
    credit = bill.kind == "credit_note"
    heading = "Credit note" if credit else "Invoice"
    name = f"{heading} {bill.number}" if bill.number else f"{heading} (draft)"
    discounted = any(line.discount_cents for line in bill.lines)
    taxed = any(line.tax_rate is not None for line in bill.lines)
    lines = [_line(line, discounted=discounted, taxed=taxed) for line in bill.lines]
    return {
        **_frame(bill.brand, bill.customer, bill.currency, _texts(bill)),
        "title": name,
        "heading": heading,
        "customer_label": "Credit to" if credit else "Bill to",
        "watermark": WATERMARKS.get(bill.status),
        "facts": _bill_facts(bill),
        "columns": _columns(bill.currency, lines, discounted=discounted, taxed=taxed),
        "lines": lines,
        "taxes": [_tax(tax) for tax in bill.taxes if tax.base_cents is not None and len(bill.taxes) > 1],
        "sums": _sums(bill),
        "grand_total": _grand_total(bill),
        "payments": [[day(s.date) if s.date else "", s.text, amount(-s.amount_cents)] for s in bill.settled],
        "instalments": [[day(i.due_date), amount(i.amount_cents)] for i in bill.instalments],
        "pay": _pay(bill),
        "notes": _notes(("Reason", bill.reason), ("Note", bill.note), ("Memo", bill.memo), ("Terms", bill.terms)),
    }


def statement_data(statement: Statement) -> dict[str, Any]:
    """What `statement.typ` prints."""
    period = f"{day(statement.start)} – {day(statement.end)}"
    opening = ["", "Opening balance", "", "", amount(statement.opening_cents)]
    return {
        **_frame(statement.brand, statement.customer, statement.currency, [m.text for m in statement.movements]),
        "title": f"Statement {period}",
        "heading": "Statement of account",
        "customer_label": "Account of",
        "watermark": None,
        "facts": [["Period", period], ["Currency", statement.currency]],
        "columns": ["Date", "", "Charged", "Paid or credited", "Balance"],
        "movements": [
            opening,
            *(_movement(m.date, m.text, m.amount_cents, m.balance_cents) for m in statement.movements),
        ],
        "grand_total": [f"Balance on {day(statement.end)}", money(statement.closing_cents, statement.currency)],
        "aging": [[name, amount(cents)] for name, cents in statement.aging],
        "notes": _notes(("How to pay", statement.brand.bank_details)),
    }


def _frame(brand: Brand, customer: Party, currency: str, texts: Iterable[str]) -> dict[str, Any]:
    everything = "".join([brand.company_name, brand.address, customer.name, customer.address, *texts])
    return {
        "color": brand.color,
        "fonts": fonts(everything),
        "paper": "us-letter" if currency in LETTER_CURRENCIES else "a4",
        "seller": {"name": brand.company_name, "details": _paragraph(f"{brand.address}\n{brand.tax_id}")},
        "customer": {"name": customer.name, "details": _paragraph(f"{customer.address}\n{customer.email}")},
        "footer": _paragraph(brand.footer),
        "logo": None,
        "date": None,
    }


def _texts(bill: Bill) -> list[str]:
    return [text for line in bill.lines for text in (line.description, line.long_description)] + [bill.note, bill.terms]


def fonts(text: str) -> list[str]:
    """The fonts to look a character up in, first to last."""
    region = next((name for name, (low, high) in CJK.items() if any(low <= c <= high for c in text)), "SC")
    return [
        "FiraGO",
        f"Noto Sans CJK {region}",
        "Hind Siliguri",
        "Noto Sans Tamil",
        "Noto Sans Telugu",
        "Noto Sans Khmer",
    ]


def _bill_facts(bill: Bill) -> list[list[str]]:
    facts = [("Number", bill.number or "–"), ("Issued", day(bill.issue_date))]
    facts += [("Due", day(bill.due_date))] if bill.due_date else []
    facts += [("For invoice", bill.corrects)] if bill.corrects else []
    facts += [("Project", bill.project)] if bill.project else []
    facts += [("Status", "Paid")] if bill.status == "paid" and bill.kind == "invoice" else []
    return [list(fact) for fact in facts]


def _columns(currency: str, lines: Sequence[dict[str, Any]], *, discounted: bool, taxed: bool) -> list[dict[str, Any]]:
    titles = ["Quantity", "Unit price", *(["Discount"] if discounted else []), *(["Tax"] if taxed else []), currency]
    cells = zip(*(line["cells"] for line in lines), strict=True)
    widths = [_width_mm(title, column) for title, column in zip(titles, cells, strict=True)]
    return [
        {"title": "Description", "width": 0},
        *({"title": title, "width": width} for title, width in zip(titles, widths, strict=True)),
    ]


CHARACTER_MM = 1.95
"""A digit at 9.5 points is 1.9 mm wide; widths that are known save the setter from trying them out."""
WIDEST_MM = 42.0


def _width_mm(title: str, cells: Iterable[str]) -> float:
    longest = max((_columns_of(text) for text in (title, *cells)), default=0)
    return min(WIDEST_MM, longest * CHARACTER_MM + 4.5)


def _columns_of(text: str) -> int:
    """How many digits wide a text is: Chinese, Japanese and Korean characters are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _line(line: Line, *, discounted: bool, taxed: bool) -> dict[str, Any]:
    cells = [
        f"{number(line.quantity)} {line.unit}".strip(),
        price(line.unit_price) if line.unit_price is not None else "",
        *([amount(-line.discount_cents) if line.discount_cents else ""] if discounted else []),
        *([percent(line.tax_rate) if line.tax_rate is not None else "–"] if taxed else []),
        amount(line.amount_cents),
    ]
    return {"description": line.description, "details": _paragraph(line.long_description), "cells": cells}


def _tax(tax: Tax) -> list[str]:
    assert tax.base_cents is not None
    return [f"{_tax_name(tax)} on {amount(tax.base_cents)}", amount(tax.tax_cents)]


def _tax_name(tax: Tax) -> str:
    return f"{tax.name} {percent(tax.rate)}" if tax.rate is not None else tax.name


def _sums(bill: Bill) -> list[list[str]]:
    rows = [("Subtotal", bill.subtotal_cents)] if bill.subtotal_cents != bill.total_cents else []
    rows += [(bill.discount_text, -bill.discount_cents)] if bill.discount_cents else []
    rows += _tax_sums(bill)
    rows += [(bill.adjustment_text, bill.adjustment_cents)] if bill.adjustment_cents else []
    if bill.kind == "invoice" and bill.due_cents != bill.total_cents:
        rows += [("Total", bill.total_cents), ("Paid and credited", bill.due_cents - bill.total_cents)]
    return [[name, amount(cents)] for name, cents in rows]


def _tax_sums(bill: Bill) -> list[tuple[str, int]]:
    """Several rates stand in the table beside the sums, so here they are one row."""
    if len(bill.taxes) == 1:
        return [(_tax_name(bill.taxes[0]), bill.tax_cents)]
    return [("Tax", bill.tax_cents)] if bill.taxes else []


def _grand_total(bill: Bill) -> list[str]:
    if bill.kind == "credit_note":
        return ["Total credited", money(bill.total_cents, bill.currency)]
    return ["Amount due", money(bill.due_cents, bill.currency)]


def _pay(bill: Bill) -> dict[str, Any] | None:
    bank = _paragraph(bill.brand.bank_details)
    payable = bill.kind == "invoice" and bill.due_cents > 0 and bill.status not in WATERMARKS
    if not payable or not (bank or bill.pay_url):
        return None
    facts = [["Reference", bill.number or ""], ["Amount", money(bill.due_cents, bill.currency)]]
    return {"bank": bank, "facts": facts, "code": payment_code(bill), "link": bill.pay_url}


def _movement(on: date, text: str, amount_cents: int, balance_cents: int) -> list[str]:
    charged = amount(amount_cents) if amount_cents >= 0 else ""
    paid = amount(-amount_cents) if amount_cents < 0 else ""
    return [day(on), text, charged, paid, amount(balance_cents)]


def _notes(*sections: tuple[str, str]) -> list[list[Any]]:
    return [[name, _paragraph(text)] for name, text in sections if text.strip()]


def _paragraph(text: str) -> list[str]:
    return [line for line in (line.strip() for line in text.splitlines()) if line]


def day(on: date) -> str:
    """A date that no reader mistakes, whichever order of day and month is usual to them."""
    return f"{on.day} {on:%b} {on.year}"


def amount(cents: int) -> str:
    """An amount with thousands set off; a true minus sign."""
    sign = "\u2212" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole:,}.{rest:02d}"


def money(cents: int, currency: str) -> str:
    """An amount with its currency, kept on one line."""
    return f"{currency}\u00a0{amount(cents)}"


def number(value: Decimal) -> str:
    """A quantity without needless zeros."""
    return f"{value.normalize():,f}"


def price(value: Decimal) -> str:
    """A unit price: at least two decimals, more where it has them."""
    text = f"{abs(value).normalize():,f}"
    whole, _, decimals = text.partition(".")
    return ("\u2212" if value < 0 else "") + f"{whole}.{decimals:0<2}"


def percent(rate: Decimal) -> str:
    """A fraction as a percentage."""
    return f"{(rate * 100).normalize():f}\u00a0%"
