"""Invoice numbers in the text of a payment, each beside the tempting wrong answer."""

import pytest

from services.payments.matching import mentions, references
from services.payments.matching.index import OpenInvoices
from services.payments.matching.references import Strength, Text
from tests.unit.payments.builders import an_id, owed


def named(text: str, *numbers: str) -> dict[str, Strength]:
    """Which of these numbers the text names, and how surely."""
    invoices = [owed(number) for number in numbers]
    found = mentions.read(Text(text), OpenInvoices(invoices), {})
    by_id = {invoice.id: str(invoice.number) for invoice in invoices}
    return {by_id[i]: mention.strength for mention in found.named for i in mention.invoice_ids}


def surely(text: str, *numbers: str) -> set[str]:
    return {number for number, strength in named(text, *numbers).items() if strength >= Strength.LIKELY}


@pytest.mark.parametrize(
    "text",
    [
        "INV-2026-0012",
        "inv-2026-0012",
        "INV 2026 0012",
        "inv2026-0012",
        "INV20260012",
        "Inv/2026/12",
        "invoice 2026-0012",
        "Rechnung Nr. 2026-0012",
        "#2026-0012",
        "2026-0012",
        "20260012",
        "IVN-2026-0012",
        "payment for INV-2026-0012, thank you",
        "SVWZ+INV-2026-00 12 EREF+8841",
        "ＩＮＶ－２０２６－００１２",
    ],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert surely(text, "INV-2026-0012", "INV-2026-0013", "INV-2025-0012") == {"INV-2026-0012"}


@pytest.mark.parametrize("text", ["INV-10", "INV-1-0", "INV-1A", "inv 10", "INV10", "INV-1.5", "INV-11", "1NV-10"])
def test_inv_1_is_never_found_inside_a_longer_number(text: str) -> None:
    assert "INV-1" not in surely(text, "INV-1")


def test_leading_zeros_do_not_matter_but_trailing_ones_do() -> None:
    assert surely("inv 0010", "INV-10", "INV-1", "INV-100") == {"INV-10"}


def test_a_number_ends_where_a_sentence_ends() -> None:
    assert surely("We pay INV-1001. 15 November.", "INV-1001") == {"INV-1001"}


def test_several_numbers_are_all_found_also_where_the_first_part_is_said_once() -> None:
    numbers = ("INV-2026-0012", "INV-2026-0013", "INV-2026-0014", "INV-2025-0013")

    assert surely("INV-2026-0012, 0013 and 14", *numbers) == {"INV-2026-0012", "INV-2026-0013", "INV-2026-0014"}
    assert surely("INV-2026-0012/INV-2026-0014", *numbers) == {"INV-2026-0012", "INV-2026-0014"}


@pytest.mark.parametrize(
    "text", ["PO 100234", "PO-100234", "order 100234", "Kundennr. 100234", "check 100234", "X100234"]
)
def test_the_number_of_something_else_is_no_invoice_number(text: str) -> None:
    assert surely(text, "INV-100234") == set()


@pytest.mark.parametrize("text", ["paid 12.11.2026", "2026-11-12", "USD 1,012.00", "services 2026"])
def test_dates_amounts_and_years_are_no_invoice_numbers(text: str) -> None:
    assert surely(text, "INV-12", "INV-2026-0012", "INV-2026", "INV-1012", "INV-11") == set()


def test_a_short_bare_number_is_a_faint_sign_only() -> None:
    assert named("12 laptops", "INV-12") == {"INV-12": Strength.FAINT}


def test_the_end_of_a_number_behind_ref_may_be_anything() -> None:
    assert named("INV-2026-0012 ref 8841", "INV-2026-0012", "INV-2026-8841")["INV-2026-8841"] == Strength.FAINT


def test_a_customers_own_prefix_tells_two_numbers_apart() -> None:
    assert surely("ACME-1001", "ACME-1001", "BETA-1001") == {"ACME-1001"}


@pytest.mark.parametrize("text", ["INV-2026-1243", "INV-2026-1324", "INV-2026-123", "INV-2026-12354"])
def test_one_wrong_or_swapped_digit_is_near_and_never_the_number(text: str) -> None:
    index = OpenInvoices([owed("INV-2026-1234")])

    found = mentions.read(Text(text), index, {})

    assert found.named == ()
    assert [unknown.near for unknown in found.unknown] == [(owed("INV-2026-1234").id,)]


def test_two_wrong_digits_are_not_near() -> None:
    found = mentions.read(Text("INV-2026-1299"), OpenInvoices([owed("INV-2026-1234")]), {})

    assert [(unknown.written, unknown.near) for unknown in found.unknown] == [("INV-2026-1299", ())]


def test_a_number_that_is_paid_already_is_told_apart_from_a_mistyped_one() -> None:
    closed = {"INV/2026/12": an_id("Northwind Trading LLC")}

    found = mentions.read(Text("INV-2026-0012"), OpenInvoices([owed("INV-2026-0013")]), closed)

    assert [(unknown.closed, unknown.near) for unknown in found.unknown] == [(True, ())]


@pytest.mark.parametrize("number", ["", "---", "№", "A", "0", "00", "INV-" + "9" * 300, "é" * 50])
def test_odd_numbers_and_texts_do_no_harm(number: str) -> None:
    references.number(number)
    mentions.read(Text(number * 10), OpenInvoices([owed(number or None)]), {})
