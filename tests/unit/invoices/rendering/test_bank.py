"""What machines find in free text."""

import pytest

from services.invoices.rendering.bank import find_bic, find_iban
from services.invoices.rendering.epc import payload, payment_code
from tests.unit.invoices.rendering.bills import BRAND, a_bill


@pytest.mark.parametrize(
    ("text", "iban"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("iban: gb82 west 1234 5698 7654 32 (Lloyds)", "GB82WEST12345698765432"),
        ("Pay to NO9386011117947 please", "NO9386011117947"),
        ("FR14 2004 1010 0505 0001 3M02 606 Banque", "FR1420041010050500013M02606"),
        ("IBAN DE89 3704 0044 0532 0130 01", None),
        ("Account 12345678, sort code 20-00-00", None),
        ("", None),
    ],
)
def test_a_valid_iban_is_found_in_free_text(text: str, iban: str | None) -> None:
    assert find_iban(text) == iban


@pytest.mark.parametrize(
    ("text", "bic"),
    [
        ("BIC COBADEFFXXX", "COBADEFFXXX"),
        ("SWIFT/BIC: DEUTDEFF", "DEUTDEFF"),
        ("swift code: nwbkgb2l", "NWBKGB2L"),
        ("COBADEFF", None),
    ],
)
def test_a_bic_is_found_where_it_is_named(text: str, bic: str | None) -> None:
    assert find_bic(text) == bic


def test_the_payment_code_carries_what_is_due_and_the_number() -> None:
    assert payload(a_bill(), "DE89370400440532013000").split("\n") == [
        "BCD",
        "002",
        "1",
        "SCT",
        "COBADEFFXXX",
        "Halvorsen & Müller GmbH",
        "DE89370400440532013000",
        "EUR1387.58",
        "",
        "",
        "INV-2026-0042",
    ]


def test_only_an_open_invoice_in_euros_with_an_iban_has_a_payment_code() -> None:
    no_iban = a_bill(brand=type(BRAND)(company_name="A", bank_details="Account 12345"))

    assert (payment_code(a_bill()) or "").startswith("<svg")
    assert payment_code(a_bill(currency="USD")) is None
    assert payment_code(a_bill(due_cents=0)) is None
    assert payment_code(a_bill(kind="credit_note")) is None
    assert payment_code(no_iban) is None
