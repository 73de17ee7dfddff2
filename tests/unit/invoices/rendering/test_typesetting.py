"""What the PDFs say, read back with another program's parser."""

import io
from decimal import Decimal

import msgspec
import pytest
from pypdf import PdfReader

from services.invoices.rendering.model import Bill, Brand, Line, Party
from services.invoices.rendering.typesetting import Typesetter, typesetter
from tests.unit.invoices.rendering.bills import BRAND, a_bill, a_statement, png


def text_of(pdf: bytes) -> str:
    """All text, whatever spaces the parser sees."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def pages_of(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)


def test_an_invoice_says_all_that_it_must() -> None:
    text = text_of(typesetter().bill(a_bill()))

    for wanted in (
        "Halvorsen & Müller GmbH",
        "10435 Berlin",
        "VAT DE123456789",
        "Nordlicht AS",
        "0154 Oslo",
        "INV-2026-0042",
        "21 Nov 2026",
        "21 Dec 2026",
        "Ledger 2.0",
        "Consulting, October",
        "12.5 h",
        "33.333333",
        "VAT 19",
        "1,463.15",
        "278.00",
        "136.85",
        "9.58",
        "1,887.58",
        "−500.00",
        "Bank transfer",
        "EUR 1,387.58",
        "DE89 3704 0044 0532 0130 00",
        "Thank you for your business.",
        "Payable within 30 days",
        "Page 1 of 1",
        "View and pay online",
    ):
        assert wanted in text.replace("\u00a0", " "), wanted


def test_the_same_data_gives_the_same_bytes_from_every_typesetter() -> None:
    assert typesetter().bill(a_bill()) == Typesetter().bill(a_bill())


@pytest.mark.parametrize(
    "name",
    [
        "Łódź Ångström & Söhne",
        "Ελληνική Εταιρεία",
        "Українська Ґудзик",
        "株式会社さくら商事",
        "中华有限公司",
        "주식회사 한국",
        "भारतीय",
        "বাংলাদেশ",
        "தமிழ்",
        "తెలుగు",
        "ភាសាខ្មែរ",
        "ქართული",
        "บริษัท",
        "Հայաստան",
    ],
)
def test_a_name_in_any_script_is_set_with_glyphs_for_it(name: str) -> None:
    pdf = typesetter().bill(a_bill(customer=Party(name=name)))

    assert ".notdef" not in _glyph_names(pdf)
    assert len(_fonts(pdf)) >= 1


def test_right_to_left_names_are_shaped_and_ordered() -> None:
    text = text_of(typesetter().bill(a_bill(customer=Party(name="شركة النور للتجارة"), note="חברת השמש בע״מ")))

    assert "النور" in text or "رونلا" in text
    assert "השמש" in text or "שמשה" in text


def test_two_hundred_lines_run_over_pages_with_the_header_on_each() -> None:
    lines = tuple(Line(description=f"Service {i}", amount_cents=1000) for i in range(200))
    pdf = typesetter().bill(a_bill(lines=lines, subtotal_cents=200000, discount_cents=0, taxes=(), total_cents=200000))
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]

    assert len(pages) > 4
    assert all(f"Service {i}" in "".join(pages) for i in range(200))
    assert all("Description" in page for page in pages if "Service" in page)
    assert all(f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, 1))


@pytest.mark.parametrize(
    "text",
    [
        '#import "@preview/evil:1.0.0"',
        '#read("/etc/passwd")',
        "$x^2$ *bold* _it_ `raw` <label> @ref",
        '"; panic()',
        "\\u{41}",
    ],
)
def test_markup_in_the_data_is_printed_as_it_stands(text: str) -> None:
    bill = a_bill(
        lines=(Line(description=text, long_description=text, amount_cents=100, unit=text),),
        customer=Party(name=text, address=text),
        note=text,
        memo=text,
        terms=text,
        project=text,
        brand=msgspec.structs.replace(BRAND, company_name=text, address=text, footer=text, bank_details=text),
    )

    assert text_of(typesetter().bill(bill)).replace(" ", "").count(text.replace(" ", "")) >= 6


def test_a_logo_is_shown_and_a_broken_one_costs_only_the_logo() -> None:
    shown = typesetter().bill(a_bill(brand=msgspec.structs.replace(BRAND, logo=png())))
    broken = typesetter().bill(a_bill(brand=msgspec.structs.replace(BRAND, logo=png()[:60])))
    not_an_image = typesetter().bill(a_bill(brand=msgspec.structs.replace(BRAND, logo=b"<svg onload='x'/>")))

    assert len(PdfReader(io.BytesIO(shown)).pages[0].images) == 1
    assert not PdfReader(io.BytesIO(broken)).pages[0].images
    assert not_an_image == typesetter().bill(a_bill())


def test_paper_is_letter_for_dollars_and_a4_for_euros() -> None:
    def width(bill: Bill) -> float:
        return float(PdfReader(io.BytesIO(typesetter().bill(bill))).pages[0].mediabox.width)

    assert width(a_bill(currency="USD")) == 612
    assert round(width(a_bill())) == 595


def test_a_draft_and_a_void_invoice_say_so_across_the_page() -> None:
    assert "DRAFT" in text_of(typesetter().bill(a_bill(status="draft", number=None)))
    assert "VOID" in text_of(typesetter().bill(a_bill(status="cancelled")))
    assert "How to pay" not in text_of(typesetter().bill(a_bill(status="cancelled")))


def test_a_credit_note_names_the_invoice_that_it_corrects() -> None:
    text = text_of(
        typesetter().bill(
            a_bill(kind="credit_note", number="CN-2026-0001", corrects="INV-2026-0042", reason="Returned")
        )
    )

    assert "Credit note" in text
    assert "For invoice INV-2026-0042" in text
    assert "Total credited EUR 1,887.58" in text.replace("\u00a0", " ")
    assert "Returned" in text
    assert "How to pay" not in text.lower()


def test_a_statement_lists_movements_and_balances() -> None:
    text = text_of(typesetter().statement(a_statement())).replace("\u00a0", " ")

    for wanted in (
        "Statement of account",
        "Opening balance 100.00",
        "Invoice INV-2026-0040 250.00 350.00",
        "Payment 125.00 225.00",
        "Balance on 30 Nov 2026 EUR 225.00",
        "1 Nov 2026 – 30 Nov 2026",
    ):
        assert wanted in text, wanted


def test_a_minimal_bill_needs_no_brand_beyond_a_name() -> None:
    bill = a_bill(
        brand=Brand(company_name="A"),
        customer=Party(name="B"),
        taxes=(),
        settled=(),
        project="",
        note="",
        terms="",
        lines=(Line(description="x", amount_cents=1, quantity=Decimal("0.000001")),),
        subtotal_cents=1,
        discount_cents=0,
        total_cents=1,
        due_cents=1,
        pay_url=None,
    )

    assert "EUR 0.01" in text_of(typesetter().bill(bill)).replace("\u00a0", " ")


def _fonts(pdf: bytes) -> set[str]:
    resources = PdfReader(io.BytesIO(pdf)).pages[0]["/Resources"]
    return {str(font.get_object()["/BaseFont"]) for font in resources["/Font"].values()}  # type: ignore[index]


def _glyph_names(pdf: bytes) -> str:
    """Text in which a missing glyph shows as the replacement that typst writes for it."""
    return text_of(pdf).replace("\ufffd", ".notdef")


@pytest.mark.parametrize("unit", ["h", "kilowatt hours", "時間"])
def test_large_quantities_and_amounts_stay_on_one_line_in_their_columns(unit: str) -> None:
    line = Line(
        description="x" * 80,
        quantity=Decimal("9876543.25"),
        unit=unit,
        unit_price=Decimal("1012.123456"),
        amount_cents=999_999_999_999,
    )
    text = text_of(typesetter().bill(a_bill(lines=(line,), total_cents=999_999_999_999))).replace("\u00a0", " ")

    assert f"9,876,543.25 {unit}" in text
    assert "1,012.123456" in text
    assert "9,999,999,999.99" in text
