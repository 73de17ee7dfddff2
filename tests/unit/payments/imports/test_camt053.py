"""camt.053 of several versions, and XML that means harm."""

import io
import tracemalloc

import pytest

from services.payments.imports.formats import camt053
from services.payments.imports.formats.rows import Row, Unreadable
from tests.unit.payments.imports.files import facts, imported, refusals_of, rows_of, sample


def test_version_2_gives_payer_and_remittance() -> None:
    first = rows_of("camt053_v02.xml")[0]

    assert facts(first) == (1, 123456, "2026-11-18", "Müller & Söhne GmbH", "RE 2026-0117 Danke fuer die Lieferung")
    assert first.currency == "EUR"


def test_version_8_names_parties_and_statuses_one_level_deeper() -> None:
    assert facts(rows_of("camt053_v08.xml")[0]) == (1, 60500, "2026-11-17", "Jansen Bouw BV", "factuur INV-2026-0088")


@pytest.mark.parametrize("version", [b"001.02", b"001.04", b"001.06", b"001.13"])
def test_the_version_in_the_namespace_does_not_matter(version: bytes) -> None:
    rows, _ = imported(sample("camt053_v02.xml").replace(b"camt.053.001.02", b"camt.053." + version))

    assert len(rows) == 3


def test_a_collective_booking_gives_the_payments_in_it() -> None:
    _, first, second = rows_of("camt053_v02.xml")

    assert facts(first) == (5, 10000, "2026-11-18", "Erster Kunde", "RF18539007547034 E2E-1")
    assert facts(second) == (5, 5000, "2026-11-18", "Zweiter Kunde", "INV-2026-0111 E2E-2")
    assert first.external_id != second.external_id


def test_a_collective_booking_whose_parts_do_not_add_up_is_one_payment() -> None:
    rows, _ = imported(sample("camt053_v02.xml").replace(b">50.00</Amt></TxAmt>", b">49.00</Amt></TxAmt>"))

    assert [row.amount_cents for row in rows] == [123456, 15000]


def test_what_is_not_booked_or_took_something_back_is_reported() -> None:
    assert refusals_of("camt053_v02.xml") == {
        2: "a debit of 210.00: money that left the account",
        3: "the entry is not booked yet (status PDNG)",
        4: "a reversal of an earlier booking, not a payment",
    }


def test_wrong_amounts_and_missing_dates_are_reported() -> None:
    assert refusals_of("camt053_v08.xml") == {
        2: "'1.2345' has more than two decimals",
        3: "the amount is zero",
        4: "the row has no date",
    }


@pytest.mark.parametrize("name", ["entity_bomb.xml", "external_entity.xml"])
def test_a_document_type_is_refused_before_anything_in_it_is_read(name: str) -> None:
    with pytest.raises(Unreadable, match="declares a document type or entities"):
        imported(sample(name))


def test_a_file_that_was_cut_off_gives_what_was_whole_and_then_says_where_it_broke() -> None:
    found = camt053.rows(io.BytesIO(sample("camt053_cut_off.xml")))

    assert isinstance(next(found), Row)
    with pytest.raises(Unreadable, match=r"broken at line 10, column \d+"):
        next(found)


def test_its_sisters_are_refused_with_a_hint() -> None:
    with pytest.raises(Unreadable, match=r"camt\.054 notification; import the statement"):
        imported(sample("camt054.xml"))


def test_other_xml_is_no_statement() -> None:
    with pytest.raises(Unreadable, match="holds no bank statement"):
        imported(b"<?xml version='1.0'?><note><to>you</to></note>")


def test_absurd_nesting_is_refused() -> None:
    with pytest.raises(Unreadable, match="nested deeper"):
        imported(b"<?xml version='1.0'?>" + b"<a>" * 100_000)


def test_memory_does_not_grow_with_the_entries() -> None:
    head, _, rest = sample("camt053_v08.xml").partition(b"      <Ntry>")
    entry, _, tail = rest.partition(b"      </Ntry>\n")
    foot = b"    </Stmt>" + tail.partition(b"    </Stmt>")[2]
    file = io.BytesIO(head + (b"      <Ntry>" + entry + b"      </Ntry>\n") * 3000 + foot)

    tracemalloc.start()
    try:
        count = sum(isinstance(row, Row) for row in camt053.rows(file))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 3000
    assert peak_bytes < 3_000_000
