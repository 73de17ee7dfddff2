"""Exact amounts."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidFields, MethodNotAllowed
from shared.http.bodies import Body, decode_body
from shared.http.calls import encode
from shared.money import MAX_CENTS, Money, PositiveMoney, Quantity, Rate, SignedMoney, major, round_half_up, spread


class Amounts(Body, frozen=True, kw_only=True):
    """One of each."""

    money: Money = Money(0)
    positive: PositiveMoney = PositiveMoney(1)
    signed: SignedMoney = SignedMoney(0)
    quantity: Quantity = Quantity(1)
    rate: Rate = Rate(0)


@given(st.integers(-MAX_CENTS, MAX_CENTS))
def test_cents_survive_the_way_out_and_in(cents: int) -> None:
    body = b'{"signed": ' + encode(major(cents)) + b"}"

    assert decode_body(body, Amounts).signed == cents


@pytest.mark.parametrize(
    ("text", "cents"), [("0.1", 10), ("1234.5", 123450), ("0.01", 1), ("1e2", 10000), ("9999999999.99", MAX_CENTS)]
)
def test_an_amount_is_read_from_its_text(text: str, cents: int) -> None:
    assert decode_body(f'{{"money": {text}}}'.encode(), Amounts).money == cents


@pytest.mark.parametrize(
    "text",
    [
        "0.001",
        "-0.01",
        "10000000000",
        '"1"',
        "true",
        "null",
        "1e999999",
        "[1]",
        "1e-400",
        "0.0000000000000000000000001",
    ],
)
def test_what_is_no_amount_is_refused_and_named(text: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        decode_body(f'{{"money": {text}}}'.encode(), Amounts)

    assert [error.field for error in refused.value.errors] == ["money"]


def test_every_wrong_amount_is_named_at_once() -> None:
    with pytest.raises(InvalidFields) as refused:
        decode_body(b'{"positive": 0, "rate": 2, "quantity": 0, "signed": 1.234}', Amounts)

    assert {error.field for error in refused.value.errors} == {"positive", "rate", "quantity", "signed"}


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_shares_sum_exactly_and_none_is_a_cent_off(total: int, weights: list[int]) -> None:
    shares = spread(total, weights)

    assert sum(shares) == total
    whole = sum(weights)
    if whole:
        assert all(abs(share - total * weight / whole) < 1 for share, weight in zip(shares, weights, strict=True))


@pytest.mark.parametrize(("amount", "cents"), [("0.005", 1), ("-0.005", -1), ("13.965", 1397), ("0.004999", 0)])
def test_half_a_cent_is_rounded_away_from_zero(amount: str, cents: int) -> None:
    assert round_half_up(Decimal(amount)) == cents


def test_a_refusal_says_its_facts() -> None:
    assert MethodNotAllowed(method="PURR").detail == "This address does not answer PURR."


def test_answers_hold_numbers_not_texts() -> None:
    assert msgspec.json.decode(encode({"amount": major(12345)})) == {"amount": 123.45}
