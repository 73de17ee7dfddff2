"""Amounts and dates as people and banks write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.imports.formats import amounts, dates
from services.payments.imports.formats.amounts import DecimalMark, NotAnAmount


@pytest.mark.parametrize(
    ("text", "mark", "cents"),
    [
        ("1,234.56", ".", 123456),
        ("1.234,56", ",", 123456),
        ("1'234.5", ".", 123450),
        ("1 234,56", ",", 123456),
        ("1\u00a0234,56 €", ",", 123456),
        ("12,34,567.89", ".", 123456789),
        ("$1,250.00", ".", 125000),
        ("EUR 99,90", ",", 9990),
        ("99.90 EUR", ".", 9990),
        ("+7", ".", 700),
        (".5", ".", 50),
        ("5,", ",", 500),
        ("10.5000", ".", 1050),
        ("-3.10", ".", -310),
        ("−3.10", ".", -310),
        ("3.10-", ".", -310),
        ("(3.10)", ".", -310),
        ("$-3.10", ".", -310),
        ("3.10 DR", ".", -310),
        ("3.10 CR", ".", 310),
        ("3,10 S", ",", -310),
        ("3,10 H", ",", 310),
    ],
)
def test_an_amount_is_read_as_its_writer_meant_it(text: str, mark: DecimalMark, cents: int) -> None:
    assert amounts.signed_cents(text, mark) == cents


@pytest.mark.parametrize(
    "text", ["", "abc", "1,2,3", "12,34", "1.2.3", "1.234", "0.001", "1e5", "--1", "NaN", "1 2 3 x"]
)
def test_what_may_be_read_in_two_ways_or_in_none_is_no_amount(text: str) -> None:
    with pytest.raises(NotAnAmount):
        amounts.signed_cents(text, ".")


@given(st.integers(min_value=0, max_value=999_999_999_999))
def test_every_amount_written_either_way_comes_back(cents: int) -> None:
    american = f"{cents // 100:,}.{cents % 100:02}"
    european = american.translate(str.maketrans(",.", ".,"))

    assert amounts.signed_cents(american, ".") == cents
    assert amounts.signed_cents(european, ",") == cents


@given(st.text(max_size=30))
def test_no_text_at_all_breaks_the_reading_of_amounts(text: str) -> None:
    with suppress(NotAnAmount):
        amounts.signed_cents(text, ".")


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1.234,50", "7,00"], ","),
        (["1,234", "7.25"], "."),
        (["1,234", "2,345"], ";"),
        (["1.234.567"], ","),
        (["1,234,567"], "."),
        (["100", "200"], ";"),
    ],
)
def test_the_decimal_mark_is_what_most_amounts_prove(texts: list[str], mark: str) -> None:
    proven = {amounts.decimal_mark(texts, default=default) for default in (",", ".")}

    assert proven == ({",", "."} if mark == ";" else {mark})


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-11-03", "%Y-%m-%d"),
        ("03.11.2026", "%d.%m.%Y"),
        ("03.11.26", "%d.%m.%y"),
        ("20261103", "%Y%m%d"),
        ("3 Nov 2026", "%d %b %Y"),
        ("Nov 3, 2026", "%b %d, %Y"),
        ("2026-11-03T10:11:12Z", "%Y-%m-%d"),
        ("2026-11-03 10:11", "%Y-%m-%d"),
    ],
)
def test_a_date_is_detected_and_read(text: str, form: str) -> None:
    found = dates.detected_form([text], day_first=True)

    assert found == form
    assert dates.parsed(text, form).isoformat() == "2026-11-03"


@pytest.mark.parametrize("written", ["DD.MM.YYYY", "dd.mm.yyyy", "%d.%m.%Y"])
def test_a_date_format_may_be_written_as_people_or_as_programs_do(written: str) -> None:
    assert dates.named_form(written) == "%d.%m.%Y"
