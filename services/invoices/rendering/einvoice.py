"""The machine-readable twin of an invoice: Factur-X / ZUGFeRD, EN 16931 XML inside a PDF/A-3.

Field names (BT-…, BG-…) are those of the standard EN 16931-1. The library writes and checks the XML; what is here says
which of our fields is which of theirs, and what cannot be said in it.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from services.invoices.rendering.bank import find_bic, find_iban
from services.invoices.rendering.errors import EInvoiceIncomplete
from services.invoices.rendering.model import Bill, Line, Party
from shared.money import major, round_half_up

UNITS = {  # UN/ECE Recommendation 20; C62 is "one"
    "h": "HUR",
    "hour": "HUR",
    "hours": "HUR",
    "day": "DAY",
    "days": "DAY",
    "month": "MON",
    "months": "MON",
    "kg": "KGM",
    "g": "GRM",
    "t": "TNE",
    "m": "MTR",
    "km": "KMT",
    "m²": "MTK",
    "m2": "MTK",
    "m³": "MTQ",
    "l": "LTR",
    "kwh": "KWH",
}
COUNTRIES = {
    "austria": "AT",
    "belgium": "BE",
    "bulgaria": "BG",
    "canada": "CA",
    "croatia": "HR",
    "cyprus": "CY",
    "czechia": "CZ",
    "denmark": "DK",
    "estonia": "EE",
    "finland": "FI",
    "france": "FR",
    "germany": "DE",
    "deutschland": "DE",
    "greece": "GR",
    "hungary": "HU",
    "ireland": "IE",
    "italy": "IT",
    "japan": "JP",
    "latvia": "LV",
    "lithuania": "LT",
    "luxembourg": "LU",
    "malta": "MT",
    "netherlands": "NL",
    "norway": "NO",
    "poland": "PL",
    "portugal": "PT",
    "romania": "RO",
    "slovakia": "SK",
    "slovenia": "SI",
    "spain": "ES",
    "sweden": "SE",
    "switzerland": "CH",
    "united kingdom": "GB",
    "united states": "US",
    "usa": "US",
    "österreich": "AT",
    "schweiz": "CH",
}
STANDARD, ZERO, EXEMPT = "S", "Z", "E"
COMMERCIAL_INVOICE, CREDIT_NOTE = "380", "381"
SEPA_TRANSFER = "58"


def attach(bill: Bill, pdf: bytes) -> bytes:
    """The PDF/A-3 of a bill with its EN 16931 XML inside; raises EInvoiceIncomplete."""
    import facturx  # 14 MB of memory that most processes never need

    hybrid: bytes = facturx.generate_from_binary(
        pdf, xml(bill), flavor="factur-x", level="en16931", check_xsd=False, lang="en", afrelationship="alternative"
    )
    return hybrid


def xml(bill: Bill) -> bytes:
    """The bill as CII XML, checked against the schema; raises EInvoiceIncomplete naming what the standard misses."""
    if missing := list(_missing(bill)):
        raise EInvoiceIncomplete(missing="; ".join(missing))
    import facturx  # see attach

    document: bytes = facturx.generate_xml(
        _fields(bill), flavor="factur-x", level="en16931", check_xsd=True, check_schematron=None
    )
    return document


def _missing(bill: Bill) -> Iterable[str]:
    if bill.number is None:
        yield "it has no number yet"
    if _vat_id(bill) is None:
        yield "branding has no tax_id with a country code, such as DE123456789"
    if any(tax.rate is None or tax.base_cents is None for tax in bill.taxes):
        yield "its tax is an amount without a rate"


def _vat_id(bill: Bill) -> str | None:
    words = bill.brand.tax_id.upper().split()
    return next((word for word in words if len(word) > 4 and word[:2].isalpha() and word[2:].isalnum()
                 and any(character.isdigit() for character in word)), None)  # fmt: skip


def _fields(bill: Bill) -> dict[str, Any]:
    home = (_vat_id(bill) or "")[:2].replace("EL", "GR")
    fields: dict[str, Any] = {
        "BT-1": bill.number,
        "BT-2": bill.issue_date,
        "BT-3": CREDIT_NOTE if bill.kind == "credit_note" else COMMERCIAL_INVOICE,
        "BT-5": bill.currency,
        "BT-20": " ".join(bill.terms.split()) or "Payable on the due date",
        "BT-72": bill.issue_date,
        "BT-83": bill.number,
        "BG-1": [{"BT-22": text} for text in (bill.note, bill.reason) if text],
        "BG-4": _seller(bill, home),
        "BG-7": _party(bill.customer, home),
        "BG-20": _allowances(bill),
        "BG-21": _charges(bill),
        "BG-23": _breakdown(bill),
        "BG-25": [_line(position, line) for position, line in enumerate(bill.lines, 1)],
        **_totals(bill),
        **_payment_means(bill),
    }
    if bill.due_date is not None:
        fields["BT-9"] = bill.due_date
    if bill.corrects:
        fields["BG-3"] = [{"BT-25": bill.corrects}]
    return fields


def _seller(bill: Bill, home: str) -> dict[str, Any]:
    party = _party(Party(name=bill.brand.company_name, address=bill.brand.address), home)
    return {**party, "vat_identifier": _vat_id(bill)}


def _party(party: Party, home: str) -> dict[str, Any]:
    """A postal address without a country line is a domestic one, as on an envelope."""
    lines = [line.strip() for line in party.address.splitlines() if line.strip()]
    country = _country(lines[-1]) if lines else None
    address = lines[:-1] if country else lines
    keys = ("addr_l1", "addr_l2", "addr_l3")
    return {"name": party.name, "country_code": country or home, **dict(zip(keys, address, strict=False))}


def _country(line: str) -> str | None:
    code = line.upper()
    return code if code in COUNTRIES.values() else COUNTRIES.get(line.lower())


def _payment_means(bill: Bill) -> dict[str, Any]:
    iban = find_iban(bill.brand.bank_details)
    if iban is None:
        return {}
    means = {"BT-81": SEPA_TRANSFER, "BT-84": iban, "BT-85": bill.brand.company_name}
    bic = find_bic(bill.brand.bank_details)
    return means | {"BT-86": bic} if bic else means


def _category(rate: Decimal | None) -> str:
    if rate is None:
        return EXEMPT
    return STANDARD if rate else ZERO


def _percent(rate: Decimal | None) -> str:
    return f"{((rate or Decimal(0)) * 100).normalize():f}"


def _vat(rate: Decimal | None) -> dict[str, str]:
    return {"vat_category_code": _category(rate), "vat_rate": _percent(rate)}


def _nets(bill: Bill) -> dict[Decimal | None, int]:
    """Net of the lines by tax rate, before the header discount."""
    nets: dict[Decimal | None, int] = defaultdict(int)
    for line in bill.lines:
        nets[line.tax_rate] += line.amount_cents
    return dict(nets)


def _bases(bill: Bill) -> dict[Decimal | None, int]:
    """What each rate is charged on; what no rate is charged on takes the rest of the header discount."""
    bases: dict[Decimal | None, int] = {tax.rate: tax.base_cents or 0 for tax in bill.taxes}
    rest = bill.subtotal_cents - bill.discount_cents + bill.adjustment_cents - sum(bases.values())
    if rest or None in _nets(bill):
        bases[None] = rest
    return bases


def _allowances(bill: Bill) -> list[dict[str, Any]]:
    allowances = [
        {"amount": _text(net - _share_base(bill, rate)), "reason": "Discount", **_vat(rate)}
        for rate, net in _nets(bill).items()
        if net != _share_base(bill, rate)
    ]
    if bill.adjustment_cents < 0:
        allowances.append({"amount": _text(-bill.adjustment_cents), "reason": bill.adjustment_text, **_vat(None)})
    return allowances


def _share_base(bill: Bill, rate: Decimal | None) -> int:
    base = _bases(bill).get(rate, 0)
    return base - bill.adjustment_cents if rate is None else base


def _charges(bill: Bill) -> list[dict[str, Any]]:
    if bill.adjustment_cents <= 0:
        return []
    return [{"amount": _text(bill.adjustment_cents), "reason": bill.adjustment_text, **_vat(None)}]


def _breakdown(bill: Bill) -> list[dict[str, Any]]:
    taxes = {tax.rate: tax.tax_cents for tax in bill.taxes}
    return [
        {
            "BT-116": _text(base),
            "BT-117": _text(taxes.get(rate, 0)),
            "BT-118": _category(rate),
            "BT-119": _percent(rate),
            **({"BT-120": "Not subject to tax"} if rate is None else {}),
        }
        for rate, base in _bases(bill).items()
    ]


def _line(position: int, line: Line) -> dict[str, Any]:
    quantity, unit_price = _priced(line)
    fields = {
        "BT-126": str(position),
        "BT-153": line.description,
        "BT-129": f"{quantity.normalize():f}",
        "BT-130": UNITS.get(line.unit.lower(), "C62"),
        "BT-146": f"{unit_price:f}",
        "BT-131": _text(line.amount_cents),
        "BT-151": _category(line.tax_rate),
        "BT-152": _percent(line.tax_rate),
    }
    if line.long_description:
        fields["BT-154"] = line.long_description
    if line.discount_cents:
        return {**fields, "BG-27": [{"amount": _text(line.discount_cents), "reason": "Discount"}]}
    return fields


def _priced(line: Line) -> tuple[Decimal, Decimal]:
    """Quantity and price where their product is the line's gross amount and the price not negative; else one of it."""
    gross_cents = line.amount_cents + line.discount_cents
    if (
        line.unit_price is not None
        and line.unit_price >= 0
        and round_half_up(line.quantity * line.unit_price) == gross_cents
    ):
        return line.quantity, line.unit_price
    return Decimal(1 if gross_cents >= 0 else -1), major(abs(gross_cents))


def _totals(bill: Bill) -> dict[str, Any]:
    allowances = sum((Decimal(item["amount"]) for item in _allowances(bill)), Decimal(0))
    charges = sum((Decimal(item["amount"]) for item in _charges(bill)), Decimal(0))
    net = major(bill.subtotal_cents - bill.discount_cents + bill.adjustment_cents)
    paid_cents = 0 if bill.kind == "credit_note" else bill.total_cents - bill.due_cents
    return {
        "BT-106": _text(bill.subtotal_cents),
        "BT-107": f"{allowances:f}",
        "BT-108": f"{charges:f}",
        "BT-109": f"{net:f}",
        "BT-110": _text(bill.tax_cents),
        "BT-112": _text(bill.total_cents),
        "BT-113": _text(paid_cents),
        "BT-115": _text(bill.total_cents - paid_cents),
    }


def _text(cents: int) -> str:
    return f"{major(cents):f}"
