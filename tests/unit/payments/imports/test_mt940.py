"""MT940 in the three dialects of field :86:."""

import pytest

from services.payments.imports.formats.rows import Unreadable
from tests.unit.payments.imports.files import facts, imported, refusals_of, rows_of


def test_the_german_form_gives_payer_and_remittance() -> None:
    first = rows_of("deutsche_bank.sta")[0]

    assert facts(first) == (
        6,
        123456,
        "2026-11-18",
        "Mueller & Soehne GmbH",
        "RE 2026-0117 Danke fuer die Lieferung INV-2026-0117",
    )
    assert first.currency == "EUR"


def test_debits_reversals_and_zeros_are_reported_by_their_line() -> None:
    assert refusals_of("deutsche_bank.sta") == {
        10: "a debit of 210.00: money that left the account",
        12: "a reversal of an earlier booking, not a payment",
        14: "the amount is zero",
    }


def test_the_dutch_form_between_slashes_is_read() -> None:
    assert facts(rows_of("rabobank.940")[0]) == (
        6,
        60500,
        "2026-11-17",
        "Jansen Bouw BV",
        "factuur INV-2026-0088 2026-88",
    )


def test_the_counterparty_may_be_in_the_third_place() -> None:
    row = rows_of("ing.940")[0]

    assert row.payer == "ING BANK NV INZAKE WEB"
    assert "EV10001REP1000000T1000" in row.reference


def test_equal_bookings_of_one_day_are_several_payments() -> None:
    _, first, second = rows_of("rabobank.940")

    assert facts(first)[1:] == facts(second)[1:]
    assert first.external_id != second.external_id


def test_a_booking_that_cannot_be_read_spoils_no_other() -> None:
    assert [(row.number, row.reference) for row in rows_of("broken.940")] == [
        (5, "free text INV-1"),
        (11, "free text INV-2"),
    ]
    assert set(refusals_of("broken.940")) == {7, 9}


def test_what_a_booking_cannot_be_is_not_logged_since_it_names_people(caplog: pytest.LogCaptureFixture) -> None:
    refusals_of("broken.940")

    assert "garbage" not in caplog.text


def test_a_text_that_goes_on_for_ever_is_refused() -> None:
    content = ":20:A\n:25:1\n:60F:C261117EUR1,00\n:61:2611181118C100,00NTRFNONREF\n:86:x\n" + "more\n" * 1000

    with pytest.raises(Unreadable, match="the booking at line 4 goes on for more than 200 lines"):
        imported(content)
