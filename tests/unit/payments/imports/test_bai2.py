"""BAI2."""

import io

import pytest

from services.payments.imports.formats import bai2
from services.payments.imports.formats.rows import Row, Unreadable
from tests.unit.payments.imports.files import facts, refusals_of, rows_of, sample


def test_credits_are_read_whatever_their_funds_are() -> None:
    assert [facts(row)[:3] for row in rows_of("us_treasury.bai")] == [
        (4, 125000, "2026-11-17"),
        (5, 349950, "2026-11-17"),
        (8, 78025, "2026-11-17"),
        (9, 3100, "2026-11-17"),
    ]


def test_a_text_may_hold_commas_and_go_on_in_the_next_record() -> None:
    row = rows_of("us_treasury.bai")[1]

    assert row.payer == "NORTHWIND TRADERS LLC"
    assert row.reference == "B/O: NORTHWIND TRADERS LLC, PAYING INV-1038 AND INV-1039 WIRE7"


def test_the_sender_is_found_in_the_text_of_an_ach_credit() -> None:
    assert rows_of("us_treasury.bai")[0].payer == "HARBOR SUPPLY CO"


def test_all_else_is_reported_by_its_line() -> None:
    assert refusals_of("us_treasury.bai") == {
        7: "a debit of 84.20: money that left the account",
        10: "type code 890 is neither a credit nor a debit",
        11: "a return or reversal of an earlier debit (type code 257), not a payment",
        12: "the amount is zero",
        13: "'12A' is not an amount",
    }


def test_fields_and_text_may_continue_and_a_yen_has_no_cents() -> None:
    assert facts(rows_of("continued.bai")[0]) == (
        5,
        150000000,
        "2026-11-17",
        "",
        "DEALER PAYMENTS FOR NOVEMBER INV-7 DD1620",
    )


def test_a_file_that_was_cut_off_gives_what_was_whole_and_then_says_so() -> None:
    found = bai2.rows(io.BytesIO(sample("cut_off.bai")))

    assert isinstance(next(found), Row)
    with pytest.raises(Unreadable, match="cut off"):
        next(found)


def test_a_group_that_the_bank_deleted_is_not_imported() -> None:
    content = sample("us_treasury.bai").replace(b"122099999,1,261117", b"122099999,2,261117")

    found = list(bai2.rows(io.BytesIO(content)))

    assert not [row for row in found if isinstance(row, Row)]
