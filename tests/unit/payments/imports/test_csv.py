"""CSV files as American, British, German and Dutch banks write them, and as people break them."""

import pytest

from services.payments.imports.formats.rows import Unreadable
from tests.unit.payments.imports.files import facts, imported, refusals_of, rows_of, sample


def test_an_american_export_gives_its_credits_and_names_the_sender_from_the_text() -> None:
    rows = rows_of("chase.csv")

    assert [(row.number, row.amount_cents, row.payer) for row in rows] == [
        (2, 125000, "HARBOR SUPPLY CO"),
        (3, 349950, "NORTHWIND TRADERS LLC"),
        (6, 78025, ""),
    ]
    assert "INV 1042" in rows[0].reference


def test_debits_are_reported_and_not_imported() -> None:
    assert refusals_of("chase.csv") == {
        4: "a debit of 84.20: money that left the account",
        5: "a debit of 950.00: money that left the account",
    }


def test_a_file_without_column_names_is_understood_by_what_stands_in_it() -> None:
    assert facts(rows_of("wells_fargo.csv")[1]) == (
        3,
        31075,
        "2026-11-13",
        "",
        "MERIDIAN FOODS PAYMENT 261113 INV-2026-0031",
    )


def test_semicolons_decimal_commas_german_dates_and_windows_1252_are_detected() -> None:
    first, second = rows_of("sparkasse_camt.csv")

    assert facts(first) == (2, 123456, "2026-11-18", "Müller & Söhne GmbH", "RE 2026-0117 Danke für die Lieferung")
    assert second.reference == "Rechnung 2026-0098, 2026-0101 E2E-77-4"
    assert first.currency == "EUR"


def test_a_byte_order_mark_and_lines_above_the_header_do_not_matter() -> None:
    assert facts(rows_of("dkb.csv")[0]) == (6, 150000, "2026-11-19", "Vogel Architekten PartG", "INV-2026-0110")


def test_a_word_beside_the_amount_says_which_way_the_money_went() -> None:
    assert [row.amount_cents for row in rows_of("ing_nl.csv")] == [60500]
    assert refusals_of("ing_nl.csv") == {3: "a debit of 1,200.00: money that left the account"}


def test_the_currency_may_stand_in_the_name_of_the_amount_column() -> None:
    assert rows_of("ing_nl.csv")[0].currency == "EUR"


def test_money_in_and_money_out_may_have_columns_of_their_own() -> None:
    assert [facts(row)[:3] for row in rows_of("hsbc_uk.csv")] == [(2, 42000, "2026-11-17"), (4, 201635, "2026-11-13")]
    assert refusals_of("hsbc_uk.csv") == {3: "a debit of 180.00: money that left the account"}


def test_a_time_behind_the_date_is_dropped() -> None:
    assert facts(rows_of("revolut.csv")[0]) == (
        2,
        30000,
        "2026-11-17",
        "ACME LABS SRL",
        "INV-0077 Money added from ACME LABS",
    )


def test_utf_16_as_excel_saves_it_is_read() -> None:
    text = "Date\tAmount\tPayer\n2026-11-17\t12.50\tZoë Ltd\n"

    rows, _ = imported(text.encode("utf-16"))

    assert facts(rows[0]) == (2, 1250, "2026-11-17", "Zoë Ltd", "")


def test_each_broken_row_is_refused_with_its_line_and_its_reason_and_spoils_no_other() -> None:
    assert [(row.number, row.amount_cents) for row in rows_of("broken.csv")] == [(2, 10000), (11, 3000), (13, 100000)]
    assert refusals_of("broken.csv") == {
        3: "'2026-02-30' is not a date like YYYY-MM-DD",
        4: "'twelve' is not an amount",
        5: "the row has no amount",
        6: "the amount is zero",
        7: "a debit of 5.00: money that left the account",
        8: "'12.345' may mean thousands or three decimals",
        9: "the amount 99,999,999,999.00 is above 9,999,999,999.99",
        10: "the row cannot be split into columns: a quote is not closed",
        12: "the row has no amount",
    }


def test_a_quoted_cell_may_hold_quotes_commas_and_line_breaks() -> None:
    assert facts(rows_of("broken.csv")[2])[3:] == ('Good "Three", Inc.', "INV-11 second line of the reference")


def test_a_mapping_by_name_reads_columns_that_nobody_could_guess() -> None:
    mapping = {"payment_date": "Wann", "amount": "wieviel", "payer": "Wer", "reference": "Wofuer", "id": "Beleg"}

    rows = rows_of("unusual_columns.csv", mapping)

    assert [facts(row) for row in rows] == [
        (2, 120000, "2026-03-04", "Alpenblick AG", "INV-7"),
        (3, 8050, "2026-05-04", "Seehof AG", "INV-8"),
    ]
    assert [row.external_id for row in rows] == ["B-1", "B-2"]


def test_a_mapping_may_say_that_the_day_comes_first() -> None:
    mapping = {"date": "Wann", "amount": "Wieviel", "date_format": "DD/MM/YYYY"}

    assert [row.date.isoformat() for row in rows_of("unusual_columns.csv", mapping)] == ["2026-04-03", "2026-04-05"]


@pytest.mark.parametrize("mapping", [{"date": 1, "amount": 2, "payer": 3}, {"date": 0, "amount": 1, "payer": 2}])
def test_a_mapping_by_number_counts_from_one_unless_a_zero_is_in_it(mapping: dict[str, int]) -> None:
    assert facts(rows_of("unusual_columns.csv", mapping)[0])[:4] == (2, 120000, "2026-03-04", "Alpenblick AG")


def test_a_mapping_by_number_reads_the_first_line_too_where_there_is_no_header() -> None:
    rows, _ = imported("17.11.2026;12,50;A\n18.11.2026;13,50;B\n", {"date": 1, "amount": 2, "payer": 3})

    assert [row.number for row in rows] == [1, 2]


def test_a_mapping_of_some_fields_leaves_the_others_to_detection() -> None:
    content = "Date,Amount,Who sent it,Memo\n2026-11-17,1.00,A Co,INV-1\n"

    rows, _ = imported(content, {"payer_name": "Who sent it"})

    assert facts(rows[0]) == (2, 100, "2026-11-17", "A Co", "INV-1")


def test_a_mapping_of_a_column_that_is_not_there_says_which_columns_are() -> None:
    with pytest.raises(
        Unreadable, match="the column 'Total'; the file has 'Wann', 'Wieviel', 'Wer', 'Wofuer', 'Beleg'"
    ):
        rows_of("unusual_columns.csv", {"date": "Wann", "amount": "Total"})


def test_a_mapping_of_an_unknown_field_names_it() -> None:
    with pytest.raises(Unreadable, match="the mapping names 'sum'; the fields are payment_date"):
        rows_of("unusual_columns.csv", {"sum": "Wieviel"})


def test_one_day_above_twelve_anywhere_in_the_file_decides_the_order_of_day_and_month() -> None:
    ambiguous = "".join(f"03/{month:02}/2026,1.00\n" for month in range(1, 12))

    rows, _ = imported("Date,Amount\n" + ambiguous + "25/11/2026,1.00\n")

    assert [row.date.isoformat() for row in rows][:2] == ["2026-01-03", "2026-02-03"]
    assert rows[-1].date.isoformat() == "2026-11-25"


def test_dates_that_decide_nothing_are_read_as_the_decimal_mark_suggests() -> None:
    american, _ = imported("Date,Amount\n03/04/2026,1.50\n")
    european, _ = imported("Date;Amount\n03/04/2026;1,50\n")

    assert american[0].date.isoformat() == "2026-03-04"
    assert european[0].date.isoformat() == "2026-04-03"


def test_equal_rows_of_one_file_are_several_payments_and_stay_so_when_read_again() -> None:
    once, again = rows_of("twins.csv"), rows_of("twins.csv")

    assert len({row.external_id for row in once}) == 3
    assert [row.external_id for row in once] == [row.external_id for row in again]


def test_a_row_keeps_its_id_when_the_next_export_brings_it_among_others() -> None:
    header, first, second = "Date,Amount,Payer\n", "2026-11-17,1.00,A\n", "2026-11-18,2.00,B\n"

    early, _ = imported(header + first)
    late, _ = imported(header + second + first)

    assert early[0].external_id == late[1].external_id


def test_an_id_of_the_bank_counts_together_with_what_was_booked_since_banks_reuse_ids() -> None:
    rows, _ = imported("Date,Amount,Transaction ID\n2026-11-17,1.00,7\n2026-11-18,2.00,7\n2026-11-18,2.00,7\n")

    first, second, repeated = (row.external_id for row in rows)
    assert first != second
    assert second == repeated


def test_the_callers_own_ids_are_kept_as_they_are() -> None:
    rows, _ = imported("Date,Amount,external_payment_id\n2026-11-17,1.00,my-7\n")

    assert rows[0].external_id == "my-7"


def test_control_characters_never_reach_a_payment() -> None:
    rows, _ = imported("Date,Amount,Payer\n2026-11-17,1.00,A\x07B\u2028C\n")

    assert rows[0].payer == "A B C"


def test_a_table_that_is_no_statement_asks_for_a_mapping() -> None:
    with pytest.raises(Unreadable, match="say which they are with a mapping"):
        rows_of("not_a_statement.csv")


def test_a_file_of_nothing_but_a_header_holds_no_rows() -> None:
    assert imported("Date,Amount,Payer\n") == ([], [])


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(Unreadable, match="longer than 65,536 characters"):
        imported(b"Date,Amount\n" + b"9" * 70_000)


def test_a_quote_that_never_closes_costs_one_line_even_at_the_end() -> None:
    rows, refused = imported('Date,Amount,Payer\n2026-11-17,1.00,"A\n2026-11-18,2.00,B\n')

    assert [row.number for row in rows] == [3]
    assert [refusal.row for refusal in refused] == [2]


def test_all_samples_have_lines_as_their_banks_end_them() -> None:
    assert b"\r\n" in sample("chase.csv")
    assert sample("dkb.csv").startswith(b"\xef\xbb\xbf")
    assert b"M\xfcller" in sample("sparkasse_camt.csv")
