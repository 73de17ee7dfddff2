"""OFX 1 and 2."""

import io
from itertools import islice

import pytest

from services.payments.imports.formats import ofx
from services.payments.imports.formats.rows import Row, Unreadable
from tests.unit.payments.imports.files import facts, imported, refusals_of, rows_of, sample


def test_sgml_without_end_tags_is_read() -> None:
    first, second = rows_of("bank_of_america.ofx")

    assert facts(first) == (1, 125000, "2026-11-17", "HARBOR SUPPLY CO", "INV 1042 & thanks")
    assert facts(second) == (3, 78025, "2026-11-13", "CAFÉ MERIDIAN", "check 0443216")
    assert first.currency == "USD"


def test_the_day_is_that_of_the_bank_not_of_greenwich() -> None:
    assert b"<DTPOSTED>20261117230000[-5:EST]" in sample("bank_of_america.ofx")
    assert rows_of("bank_of_america.ofx")[0].date.isoformat() == "2026-11-17"


def test_debits_and_zeros_are_reported() -> None:
    assert refusals_of("bank_of_america.ofx") == {
        2: "a debit of 45.00: money that left the account",
        4: "the amount is zero",
    }


def test_a_file_of_one_line_and_a_decimal_comma_are_read() -> None:
    assert [(row.payer, row.amount_cents) for row in rows_of("single_line.qfx")] == [
        ("COMMA CO", 1050),
        ("POINT CO", 2000),
    ]


def test_xml_with_a_payee_and_a_currency_of_its_own_is_read() -> None:
    first, second = rows_of("v2.ofx")

    assert facts(first) == (1, 60500, "2026-11-17", "Société Générique", "Facture INV-2026-0088")
    assert (first.currency, second.currency) == ("EUR", "USD")


def test_broken_transactions_are_refused_one_by_one_and_a_cut_off_file_says_so() -> None:
    found = ofx.rows(io.BytesIO(sample("broken.ofx")))

    first_five = [row.payer if isinstance(row, Row) else row.reason for row in islice(found, 5)]

    assert first_five == [
        "GOOD",
        "'20261317' is not a date like YYYYMMDD",
        "'ten' is not an amount",
        "NO END",
        "GOOD TOO",
    ]
    with pytest.raises(Unreadable, match="cut off"):
        next(found)


def test_an_entity_in_a_document_type_is_never_resolved() -> None:
    bomb = sample("v2.ofx").replace(b"<OFX>", b'<!DOCTYPE OFX [<!ENTITY x SYSTEM "file:///etc/passwd">]><OFX>')

    rows, _ = imported(bomb.replace(b"Facture INV-2026-0088", b"&x;"))

    assert rows[0].reference == "&x;"


def test_the_same_transaction_has_the_same_id_in_the_next_file_and_another_in_another_account() -> None:
    content = sample("single_line.qfx")

    same, other = imported(content)[0], imported(content.replace(b"<ACCTID>42", b"<ACCTID>43"))[0]

    assert same[0].external_id == rows_of("single_line.qfx")[0].external_id
    assert same[0].external_id != other[0].external_id


def test_a_transaction_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    endless = sample("single_line.qfx").split(b"<STMTTRN>")[0] + b"<STMTTRN>" + b"<MEMO>x" * 400_000

    with pytest.raises(Unreadable, match="without the end of a transaction"):
        imported(endless)
