"""Credit notes take back an invoice to the cent, however it is cut into notes."""

from decimal import Decimal
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoices.credits import model
from services.invoices.credits.errors import (
    CreditExceedsInvoice,
    CreditFullyUsed,
    CreditNotPositive,
    LineExceeded,
    LineShareMissing,
    LineTwice,
    LineUnknown,
)
from services.invoices.credits.model import CreditableLine, CreditedInvoice, LineShare
from services.invoices.tax.model import TaxRate
from shared.errors import Refusal
from shared.money import round_half_up


def line(cents: int, *rates: str, quantity: str = "1") -> CreditableLine:
    return CreditableLine(
        id=uuid4(), quantity=Decimal(quantity), net_cents=cents, rates=tuple(a_rate(rate) for rate in rates)
    )


def an_invoice(
    *lines: CreditableLine, tax_cents: int, tax_type: str = "summary", rest_cents: int = 0
) -> CreditedInvoice:
    net_cents = sum(part.net_cents for part in lines) + rest_cents
    return CreditedInvoice(total_cents=net_cents + tax_cents, tax_cents=tax_cents, tax_type=tax_type, lines=lines)


def a_rate(rate: str) -> TaxRate:
    return TaxRate(id=UUID(int=int(Decimal(rate) * 1_000_000)), name=rate, rate=Decimal(rate))


def share_of(part: CreditableLine, *, quantity: str | None = None, cents: int | None = None) -> LineShare:
    return LineShare(
        line_item_id=part.id, quantity=Decimal(quantity) if quantity is not None else None, amount_cents=cents
    )


def full(part: CreditableLine) -> LineShare:
    return LineShare(line_item_id=part.id, quantity=part.quantity)


RATES = st.sampled_from(["0", "0.05", "0.07", "0.09975", "0.1", "0.19", "0.2", "0.333333"])


@st.composite
def invoices(draw: st.DrawFn) -> CreditedInvoice:
    """Any invoice that can be issued: summary, inline or given tax, with an adjustment, with a negative line."""
    kind = draw(st.sampled_from(["summary", "inline", "given"]))
    shared = tuple(a_rate(rate) for rate in draw(st.lists(RATES, max_size=3, unique=True)))
    lines = []
    for _ in range(draw(st.integers(0, 5))):
        rates = {"summary": shared if draw(st.booleans()) else (), "inline": (a_rate(draw(RATES)),), "given": ()}[kind]
        quantity = draw(st.decimals("0.01", "1000", places=2))
        cents = draw(st.integers(1, 100_000) | st.integers(-500, 100_000))
        lines.append(CreditableLine(id=uuid4(), quantity=quantity, net_cents=cents, rates=rates))
    rest_cents = draw(st.integers(-100, 1000)) if lines else draw(st.integers(1, 100_000))
    if sum(part.net_cents for part in lines) + rest_cents <= 0:
        rest_cents += 10_000
    return an_invoice(*lines, tax_cents=tax_of_all(kind, lines), tax_type=kind, rest_cents=rest_cents)


def tax_of_all(kind: str, lines: list[CreditableLine]) -> int:
    if kind == "given" or not lines:
        return 1234
    if kind == "inline":
        return sum(model.tax_of(Decimal(part.net_cents), rate.rate) for part in lines for rate in part.rates)
    rates = max((part.rates for part in lines), key=len)
    base = Decimal(sum(part.net_cents for part in lines if part.rates))
    return max(0, sum(model.tax_of(base, rate.rate) for rate in rates))


def test_four_notes_line_by_line_equal_the_invoice() -> None:
    """The known answer of accounting.md: each line rounded alone would come to 335.00."""
    lines = [line(cents, "0.2") for cents in (6833, 6833, 5750, 8500)]
    invoice = an_invoice(*lines, tax_cents=5583)
    assert invoice.total_cents == 33499

    totals = []
    for part in lines:
        credit = model.of_lines(invoice, [full(part)])
        totals.append(credit.total_cents)
        invoice = model.with_credit(invoice, credit)

    assert totals == [8200, 8199, 6900, 10200]
    assert sum(totals) == 33499
    assert invoice.left_cents == 0
    assert sum(round_half_up(Decimal(part.net_cents) / 100 * Decimal("1.2")) for part in lines) == 33500


def test_half_of_a_line_takes_its_rounded_tax_and_the_other_half_the_rest() -> None:
    part = line(14000, "0.09975", quantity="2")
    invoice = an_invoice(part, tax_cents=1397)

    first = model.of_lines(invoice, [share_of(part, quantity="1")])
    second = model.of_lines(model.with_credit(invoice, first), [share_of(part, quantity="1")])

    assert (first.net_cents, first.tax_cents) == (7000, 698)
    assert (second.net_cents, second.tax_cents) == (7000, 699)


def test_inline_tax_is_rounded_line_by_line() -> None:
    low, high = line(4530, "0.05"), line(3345, "0.1")
    invoice = an_invoice(low, high, tax_cents=227 + 335, tax_type="inline")

    assert model.of_lines(invoice, [full(low)]).tax_cents == 227
    assert model.of_lines(invoice, [full(high)]).tax_cents == 335


def test_an_untaxed_line_takes_no_tax_along() -> None:
    taxed, free = line(10000, "0.2"), line(5000)
    invoice = an_invoice(taxed, free, tax_cents=2000)

    assert model.of_lines(invoice, [full(free)]).tax_cents == 0
    assert model.of_lines(invoice, [full(taxed)]).tax_cents == 2000


def test_an_amount_after_an_untaxed_line_takes_the_tax_of_what_is_left() -> None:
    taxed, free = line(10000, "0.2"), line(5000)
    invoice = an_invoice(taxed, free, tax_cents=2000)
    invoice = model.with_credit(invoice, model.of_lines(invoice, [full(free)]))

    credit = model.of_amount(invoice, 6000)

    assert (credit.net_cents, credit.tax_cents) == (5000, 1000)
    assert [taken.line_item_id for taken in credit.lines] == [taxed.id]


def test_thirds_of_a_line_sum_to_the_line() -> None:
    part = line(10000, quantity="3")
    invoice = an_invoice(part, tax_cents=0)
    nets = []
    for _ in range(3):
        credit = model.of_lines(invoice, [share_of(part, quantity="1")])
        nets.append(credit.net_cents)
        invoice = model.with_credit(invoice, credit)

    assert nets == [3333, 3334, 3333]


def test_an_invoice_without_lines_is_credited_with_its_tax_in_proportion() -> None:
    invoice = an_invoice(tax_cents=2000, rest_cents=10000)

    credit = model.of_amount(invoice, 3000)

    assert (credit.rest_cents, credit.tax_cents, credit.lines) == (2500, 500, ())


@given(invoices())
def test_the_whole_is_the_whole(invoice: CreditedInvoice) -> None:
    credit = model.whole(invoice)

    assert credit.total_cents == invoice.total_cents
    assert credit.tax_cents == invoice.tax_cents
    assert model.with_credit(invoice, credit).left_cents == 0


@given(invoices(), st.data())
def test_any_notes_together_equal_the_invoice_to_the_cent(invoice: CreditedInvoice, data: st.DataObject) -> None:
    before = invoice
    notes = []
    for _ in range(data.draw(st.integers(0, 5))):
        credit = a_credit(data, invoice)
        if credit is not None:
            notes.append(credit)
            invoice = model.with_credit(invoice, credit)
    if invoice.left_cents > 0:
        notes.append(model.whole(invoice))

    assert sum(credit.total_cents for credit in notes) == before.total_cents
    assert sum(credit.tax_cents for credit in notes) == before.tax_cents
    for part in before.lines:
        taken = [taken.net_cents for credit in notes for taken in credit.lines if taken.line_item_id == part.id]
        assert sum(taken) == part.net_cents


def a_credit(data: st.DataObject, invoice: CreditedInvoice) -> model.Credit | None:
    if invoice.left_cents <= 0:
        return None
    by_line: bool = data.draw(st.booleans())
    if invoice.lines and by_line:
        return a_credit_of_lines(data, invoice)
    return model.of_amount(invoice, data.draw(st.integers(1, invoice.left_cents)))


def a_credit_of_lines(data: st.DataObject, invoice: CreditedInvoice) -> model.Credit | None:
    part = data.draw(st.sampled_from(list(invoice.lines)))
    quantity = data.draw(st.decimals("0.01", str(part.quantity), places=2))
    try:
        return model.of_lines(invoice, [LineShare(line_item_id=part.id, quantity=quantity)])
    except Refusal:
        return None


@given(invoices(), st.data())
def test_a_note_is_positive_and_never_more_than_is_left(invoice: CreditedInvoice, data: st.DataObject) -> None:
    for _ in range(3):
        credit = a_credit(data, invoice)
        if credit is None:
            return
        assert 0 < credit.total_cents <= invoice.left_cents
        left = invoice.left_tax_cents  # below zero where lines of negative price outweigh the others
        assert min(0, left) <= credit.tax_cents <= max(0, left)
        invoice = model.with_credit(invoice, credit)


@given(st.lists(st.integers(1, 50_000), min_size=1, max_size=6), RATES)
def test_line_by_line_each_note_takes_the_tax_of_all_so_far_less_what_earlier_ones_took(
    cents: list[int], rate: str
) -> None:
    lines = [line(part, rate) for part in cents]
    invoice = an_invoice(*lines, tax_cents=model.tax_of(Decimal(sum(cents)), Decimal(rate)))
    running = [0]
    for part in lines:
        credit = model.of_lines(invoice, [full(part)])
        running.append(running[-1] + credit.tax_cents)
        invoice = model.with_credit(invoice, credit)

    assert running == [model.tax_of(Decimal(sum(cents[:i])), Decimal(rate)) for i in range(len(cents) + 1)]
    assert all(before <= after for before, after in pairwise(running))


def test_a_cent_more_than_the_invoice_is_refused() -> None:
    with pytest.raises(CreditExceedsInvoice) as refused:
        model.of_amount(an_invoice(line(100), tax_cents=0), 101)
    assert refused.value.errors[0].field == "amount"


def test_lines_that_leave_out_a_negative_adjustment_are_more_than_the_invoice() -> None:
    part = line(10000)
    with pytest.raises(CreditExceedsInvoice) as refused:
        model.of_lines(an_invoice(part, tax_cents=0, rest_cents=-1000), [full(part)])
    assert refused.value.errors[0].field == "line_items"


def test_nothing_is_left_of_a_credited_invoice() -> None:
    invoice = an_invoice(line(100), tax_cents=0)
    with pytest.raises(CreditFullyUsed):
        model.whole(model.with_credit(invoice, model.whole(invoice)))


@pytest.mark.parametrize(("quantity", "cents", "field"), [("2.5", None, "quantity"), (None, 101, "amount")])
def test_more_than_the_line_is_refused(quantity: str | None, cents: int | None, field: str) -> None:
    part = line(100, quantity="2")
    with pytest.raises(LineExceeded) as refused:
        model.of_lines(an_invoice(part, line(900), tax_cents=0), [share_of(part, quantity=quantity, cents=cents)])
    assert refused.value.errors[0].field == f"line_items[0].{field}"


@pytest.mark.parametrize(("quantity", "cents"), [(None, None), ("1", 100)])
def test_a_line_is_credited_by_quantity_or_by_amount(quantity: str | None, cents: int | None) -> None:
    part = line(100)
    with pytest.raises(LineShareMissing) as refused:
        model.of_lines(an_invoice(part, tax_cents=0), [share_of(part, quantity=quantity, cents=cents)])
    assert refused.value.errors[0].field == "line_items[0]"


def test_a_line_of_another_invoice_is_unknown() -> None:
    with pytest.raises(LineUnknown) as refused:
        model.of_lines(an_invoice(line(100), tax_cents=0), [LineShare(line_item_id=UUID(int=1), quantity=Decimal(1))])
    assert refused.value.errors[0].field == "line_items[0].line_item_id"


def test_a_line_named_twice_is_refused() -> None:
    part = line(100)
    with pytest.raises(LineTwice) as refused:
        model.of_lines(an_invoice(part, tax_cents=0), [share_of(part, cents=10), share_of(part, cents=20)])
    assert refused.value.errors[0].field == "line_items[1].line_item_id"


def test_a_note_of_nothing_but_a_rebate_is_refused() -> None:
    rebate = line(-500)
    with pytest.raises(CreditNotPositive):
        model.of_lines(an_invoice(line(1000), rebate, tax_cents=0), [full(rebate)])
