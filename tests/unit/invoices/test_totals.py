"""What lines, discounts, tax and adjustment add up to (docs/accounting.md, rounding and totals)."""

from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.lines.errors import LineTooLarge
from services.invoices.lines.model import Discount, DiscountType, Line, Terms, price, price_of_amount
from services.invoices.tax.model import Taxed, TaxRate, inline, summary, tax_on
from shared.money import major, round_half_up


def a_rate(rate: str) -> TaxRate:
    return TaxRate(id=uuid4(), name=rate, rate=Decimal(rate))


def a_line(amount: str, rate: TaxRate | None = None, *, taxable: bool = True, **fields: object) -> Line:
    line = {
        "id": uuid4(),
        "position": 0,
        "description": "Work",
        "unit_price": Decimal(amount),
        "taxable": taxable,
        "tax_rate_id": rate.id if rate else None,
        "tax_rate": rate.rate if rate else None,
        "tax_name": rate.name if rate else None,
    }
    return Line(**(line | fields))  # type: ignore[arg-type]


def test_9_975_percent_of_140_is_13_97() -> None:
    came_to = price([a_line("140")], Terms(rates=(a_rate("0.09975"),)))

    assert came_to.tax_cents == 1397
    assert came_to.total_cents == 15397


def test_inline_tax_is_rounded_for_each_line() -> None:
    lines = [a_line("45.30", a_rate("0.05")), a_line("33.45", a_rate("0.1"))]

    came_to = price(lines, Terms(tax_type="inline"))

    assert [line.tax_cents for line in came_to.lines] == [227, 335]
    assert came_to.tax_cents == 562


def test_summary_tax_is_rounded_once_for_each_rate() -> None:
    lines = [a_line(amount) for amount in ("68.33", "68.33", "57.50", "85.00")]

    assert price(lines, Terms(rates=(a_rate("0.2"),))).total_cents == 33499


def test_a_line_may_name_its_own_rate_under_summary_tax_too() -> None:
    five, twenty = a_rate("0.05"), a_rate("0.2")

    came_to = price([a_line("100"), a_line("100", five)], Terms(rates=(twenty,)))

    assert {tax.rate: tax.tax_cents for tax in came_to.taxes} == {Decimal("0.2"): 2000, Decimal("0.05"): 500}


def test_a_line_that_is_not_taxable_bears_no_tax() -> None:
    came_to = price([a_line("100"), a_line("50", taxable=False)], Terms(rates=(a_rate("0.1"),)))

    assert came_to.tax_cents == 1000


def test_several_rates_on_one_line_are_summed() -> None:
    came_to = price([a_line("100")], Terms(rates=(a_rate("0.05"), a_rate("0.09975"))))

    assert came_to.tax_cents == 500 + 998


def test_a_given_amount_replaces_quantity_times_price() -> None:
    assert price([a_line("3", quantity=Decimal(4), given_amount_cents=1000)], Terms()).subtotal_cents == 1000


def test_quantity_times_price_is_rounded_half_up() -> None:
    assert price([a_line("0.335", quantity=Decimal(3))], Terms()).subtotal_cents == 101


def test_the_discount_lowers_the_tax_of_the_taxable_lines_by_their_share() -> None:
    lines = [a_line("75"), a_line("25", taxable=False)]
    terms = Terms(rates=(a_rate("0.1"),), discount=Discount(type="fixed", value=Decimal(10)))

    came_to = price(lines, terms)

    assert came_to.tax_cents == 675
    assert came_to.total_cents == 10000 - 1000 + 675


def test_a_fixed_discount_is_never_more_than_the_subtotal() -> None:
    came_to = price([a_line("5")], Terms(discount=Discount(type="fixed", value=Decimal(9))))

    assert came_to.discount_cents == 500


def test_a_line_discount_comes_off_before_the_invoice_discount() -> None:
    line = a_line("100", discount_type="percentage", discount_value=Decimal(10))

    came_to = price([line], Terms(discount=Discount(type="percentage", value=Decimal(10))))

    assert came_to.subtotal_cents == 9000
    assert came_to.discount_cents == 900


def test_a_given_tax_is_taken_where_there_is_no_rate() -> None:
    assert price([a_line("100")], Terms(given_tax_cents=777)).tax_cents == 777


def test_the_adjustment_has_either_sign() -> None:
    assert price([a_line("100")], Terms(adjustment_cents=-250)).total_cents == 9750


def test_the_subtotal_of_an_amount_is_what_tax_discount_and_adjustment_leave() -> None:
    terms = Terms(given_tax_cents=1000, discount=Discount(type="fixed", value=Decimal(5)), adjustment_cents=100)

    came_to = price_of_amount(10000, terms)

    assert came_to.subtotal_cents == 9400
    assert came_to.total_cents == 10000


def test_a_line_beyond_the_largest_amount_is_refused() -> None:
    with pytest.raises(LineTooLarge):
        price([a_line("9999999999.99", quantity=Decimal("9999999999.999999"))], Terms())


DISCOUNT_TYPES: tuple[DiscountType, ...] = ("none", "fixed", "percentage")
cents = st.integers(min_value=-1_000_000, max_value=10_000_000)
rates = st.decimals(min_value=0, max_value=1, places=6)


@st.composite
def priced_lines(draw: st.DrawFn) -> list[Line]:
    some = [a_rate(str(rate)) for rate in draw(st.lists(rates, max_size=3))]
    return [
        a_line(
            str(major(draw(cents))),
            draw(st.sampled_from([None, *some])),
            taxable=draw(st.booleans()),
            discount_type="percentage",
            discount_value=draw(st.decimals(min_value=0, max_value=100, places=2)),
        )
        for _ in range(draw(st.integers(min_value=1, max_value=6)))
    ]


@st.composite
def some_terms(draw: st.DrawFn) -> Terms:
    kind: DiscountType = draw(st.sampled_from(DISCOUNT_TYPES))
    value = draw(st.decimals(min_value=0, max_value=100, places=2))
    return Terms(
        tax_type=draw(st.sampled_from(["summary", "inline"])),
        rates=tuple(a_rate(str(rate)) for rate in draw(st.lists(rates, max_size=2))),
        discount=Discount(type=kind, value=value),
        adjustment_cents=draw(cents),
    )


@given(priced_lines(), some_terms())
def test_the_total_is_always_subtotal_less_discount_plus_tax_and_adjustment(lines: list[Line], terms: Terms) -> None:
    came_to = price(lines, terms)

    assert came_to.subtotal_cents == sum(line.net_cents for line in came_to.lines)
    assert came_to.tax_cents == sum(tax.tax_cents for tax in came_to.taxes)
    assert came_to.total_cents == (
        came_to.subtotal_cents - came_to.discount_cents + came_to.tax_cents + came_to.adjustment_cents
    )


@given(priced_lines(), some_terms())
def test_the_shares_of_the_discount_sum_exactly_to_it(lines: list[Line], terms: Terms) -> None:
    came_to = price(lines, terms)

    assert sum(line.shared_discount_cents for line in came_to.lines) == came_to.discount_cents
    assert came_to.discount_cents <= max(came_to.subtotal_cents, 0) or terms.discount.type == "percentage"


@given(priced_lines(), some_terms())
def test_pricing_what_was_priced_changes_nothing(lines: list[Line], terms: Terms) -> None:
    once = price(lines, terms)

    assert price(once.lines, terms) == once


@given(st.lists(cents, min_size=1, max_size=20), rates)
def test_inline_and_summary_differ_by_no_more_than_half_a_cent_a_line(nets: list[int], fraction: Decimal) -> None:
    rate = a_rate(str(fraction))
    amounts = [Taxed(net_cents=net, rates=(rate,)) for net in nets]

    difference = sum(tax.tax_cents for tax in inline(amounts)) - sum(tax.tax_cents for tax in summary(amounts))

    assert abs(difference) <= (len(nets) + 1) / 2


@given(cents, rates)
def test_tax_is_the_exact_product_rounded_half_up(net: int, fraction: Decimal) -> None:
    assert tax_on(net, fraction) == round_half_up(Decimal(net) * fraction / 100)


@given(st.integers(min_value=1, max_value=10_000_000), st.decimals(min_value=0, max_value=90, places=2))
def test_an_amount_keeps_its_total_under_any_discount(total: int, percent: Decimal) -> None:
    terms = Terms(discount=Discount(type="percentage", value=percent))

    assert price_of_amount(total, terms).total_cents == total
