"""The rules of cash application one by one, each with the tempting wrong answer beside it."""

from datetime import date
from uuid import UUID

import pytest

from bench import matching as bench
from bench.payments_generator import STANDARD_MIX, TUNING_SEED, make_book, make_payments
from services.payments.matching import names, references, search
from services.payments.matching.index import OpenInvoices
from services.payments.matching.model import FITS, Fit, Rule, Rules
from services.payments.matching.references import Strength
from tests.unit.payments.builders import ISSUED, an_id, find, owed, paid_for, received

OTHER = "Delta Fuels GmbH"


def closed(number: str, customer: str = "Northwind Trading LLC") -> dict[str, UUID]:
    return dict.fromkeys(references.number(number).keys, an_id(customer))


def test_the_number_and_the_amount_together_are_certain_whoever_pays() -> None:
    right, wrong = owed("INV-2026-0012"), owed("INV-2026-0013")

    finding = find(received(text="inv 2026-0012", payer="Pay Agent 7"), right, wrong)

    assert paid_for(finding) == {right.id: 10000}
    assert finding.certain is not None
    assert finding.certain.rule is Rule.NUMBER_AND_AMOUNT


def test_the_evidence_is_in_words_that_a_bookkeeper_understands() -> None:
    finding = find(received(text="INV-7", payer="NORTHWIND TRADING"), owed("INV-7"))

    assert finding.suggestions[0].evidence == (
        "the text names INV-7",
        "100.00 USD is exactly what INV-7 has due",
        'payer "NORTHWIND TRADING" is the customer Northwind Trading LLC',
    )


def test_inv_1_is_not_paid_by_money_for_inv_10_even_where_the_amount_is_that_of_inv_1() -> None:
    one, ten = owed("INV-1", 10000), owed("INV-10", 5000)

    assert paid_for(find(received(10000, "INV-10"), one, ten)) == {}


def test_a_number_with_a_known_payer_takes_part_of_what_is_due() -> None:
    invoice = owed("INV-2026-0012", 10000)

    assert paid_for(find(received(4000, "part of INV-2026-0012", "Northwind Trading"), invoice)) == {invoice.id: 4000}
    assert paid_for(find(received(4000, "part of INV-2026-0012"), invoice)) == {}


def test_more_than_is_due_pays_what_is_due_and_leaves_the_rest() -> None:
    invoice = owed("INV-2026-0012", 10000)

    assert paid_for(find(received(12500, "INV-2026-0012", "Northwind Trading"), invoice)) == {invoice.id: 10000}


def test_more_than_is_due_that_another_invoice_explains_waits_for_a_person() -> None:
    named, other = owed("INV-2026-0012", 10000), owed("INV-2026-0400", 2500)

    finding = find(received(12500, "INV-2026-0012", "Northwind Trading"), named, other)

    assert finding.certain is None
    assert {named.id, other.id} in [suggestion.invoice_ids for suggestion in finding.suggestions]


def test_several_named_invoices_are_paid_together() -> None:
    first, second, third = owed("INV-2026-0012", 10000), owed("INV-2026-0013", 2500), owed("INV-2026-0014", 2500)

    finding = find(received(12500, "INV-2026-0012 + 0013"), first, second, third)

    assert paid_for(finding) == {first.id: 10000, second.id: 2500}


def test_the_payer_and_an_amount_that_fits_one_invoice_are_certain() -> None:
    right, wrong = owed("INV-1", 12345), owed("INV-2", 54321)

    finding = find(received(12345, payer="Northwind Trading"), right, wrong, owed("INV-3", 12345, OTHER))

    assert paid_for(finding) == {right.id: 12345}


def test_two_invoices_of_the_same_amount_and_no_number_are_a_suggestion() -> None:
    first, second = owed("INV-1", 12345), owed("INV-2", 12345)

    finding = find(received(12345, payer="Northwind Trading"), first, second)

    assert finding.certain is None
    assert {*finding.suggestions[0].invoice_ids, *finding.suggestions[1].invoice_ids} == {first.id, second.id}
    assert "but 2 invoices of this customer have the same amount due" in finding.suggestions[0].evidence


def test_of_two_equal_amounts_the_one_due_nearest_is_suggested_first() -> None:
    early, late = owed("INV-1", 9900, due=date(2026, 10, 1)), owed("INV-2", 9900, due=date(2026, 11, 18))

    finding = find(received(9900, payer="Northwind Trading"), early, late)

    assert finding.certain is None
    assert [suggestion.invoice_ids for suggestion in finding.suggestions[:2]] == [{late.id}, {early.id}]


def test_the_number_tells_two_equal_amounts_apart() -> None:
    first, second = owed("INV-1", 12345), owed("INV-2", 12345)

    assert paid_for(find(received(12345, "inv 2", "Northwind Trading"), first, second)) == {second.id: 12345}


@pytest.mark.parametrize("payer", [None, "Jane Doe"])
def test_the_amount_alone_is_a_suggestion_even_where_it_fits_one_invoice_only(payer: str | None) -> None:
    finding = find(received(12345, payer=payer), owed("INV-1", 12345))

    assert finding.certain is None
    assert [suggestion.rule for suggestion in finding.suggestions] == [Rule.AMOUNT_ONLY]


def test_the_amount_alone_stays_a_suggestion_however_low_the_threshold() -> None:
    index = OpenInvoices([owed("INV-1", 12345)])

    assert search.find(received(12345), index, Rules(threshold=0.51), {}).certain is None


def test_a_sum_of_one_customers_invoices_is_certain_where_no_other_sum_fits() -> None:
    a, b, c = owed("INV-1", 12345), owed("INV-2", 54320), owed("INV-3", 99999)

    assert paid_for(find(received(66665, payer="Northwind Trading"), a, b, c)) == {a.id: 12345, b.id: 54320}


def test_a_sum_that_two_sets_of_invoices_explain_is_a_suggestion() -> None:
    invoices = [owed("INV-1", 10000), owed("INV-2", 20000), owed("INV-3", 15000), owed("INV-4", 15000)]

    assert find(received(30000, payer="Northwind Trading"), *invoices).certain is None


def test_a_sum_over_two_customers_is_never_made() -> None:
    finding = find(received(30000, payer="Northwind Trading"), owed("INV-1", 10000), owed("INV-2", 20000, OTHER))

    assert all(len(suggestion.invoice_ids) == 1 for suggestion in finding.suggestions)


def test_all_that_a_customer_owes_may_be_more_than_five_invoices() -> None:
    invoices = [owed(f"INV-{place}", 10000 + 37 * place) for place in range(1, 9)]
    total = sum(invoice.due_cents for invoice in invoices)

    finding = find(received(total, payer="Northwind Trading"), *invoices)

    assert finding.certain is not None
    assert finding.certain.rule is Rule.PAYER_CLEARS_ACCOUNT
    assert len(finding.certain.allocations) == 8


def test_a_fee_within_the_tolerance_settles_the_invoice_and_one_beyond_it_does_not() -> None:
    invoice = owed("INV-2026-0012", 100000)

    within = find(received(98500, payer="Northwind Trading"), invoice, tolerance_cents=1500)
    beyond = find(received(98499, payer="Northwind Trading"), invoice, tolerance_cents=1500)

    assert within.certain is not None
    assert [(a.amount_cents, a.write_off_cents) for a in within.certain.allocations] == [(98500, 1500)]
    assert beyond.certain is None


def test_nothing_is_written_off_where_the_tenant_tolerates_nothing() -> None:
    finding = find(received(9900, "INV-2026-0012", "Northwind Trading"), owed("INV-2026-0012", 10000))

    assert finding.certain is not None
    assert [(a.amount_cents, a.write_off_cents) for a in finding.certain.allocations] == [(9900, 0)]


def test_what_may_be_a_fee_or_a_part_payment_waits_for_a_person() -> None:
    finding = find(
        received(1700, "INV-2026-0012", "Northwind Trading"), owed("INV-2026-0012", 2700), tolerance_cents=1500
    )

    assert finding.certain is None


def test_a_discount_for_early_payment_counts_in_time_and_not_a_day_later() -> None:
    invoice = owed("INV-2026-0012", 10000, terms="2/10 net 30")

    in_time = find(received(9800, "INV-2026-0012", paid=date(2026, 10, 30)), invoice)
    late = find(received(9800, "INV-2026-0012", paid=date(2026, 10, 31)), invoice)

    assert in_time.certain is not None
    assert [(a.amount_cents, a.write_off_cents) for a in in_time.certain.allocations] == [(9800, 200)]
    assert late.certain is None


def test_a_number_that_is_off_by_one_digit_is_a_suggestion_not_a_match() -> None:
    invoice = owed("INV-2026-1234", 12345)

    finding = find(received(12345, "INV-2026-1243"), invoice)

    assert finding.certain is None
    assert finding.suggestions[0].rule is Rule.NEAR_NUMBER


def test_a_slip_of_one_digit_does_not_stop_what_payer_and_amount_prove() -> None:
    invoice = owed("INV-2026-1234", 12345)

    finding = find(received(12345, "INV-2026-1243", "Northwind Trading"), invoice)

    assert paid_for(finding) == {invoice.id: 12345}
    assert finding.certain is not None
    assert finding.certain.rule is Rule.PAYER_AND_AMOUNT


def test_a_paid_invoice_of_the_same_customer_is_no_slip_but_perhaps_a_second_payment() -> None:
    """The monthly invoice of October was paid; the same money for it again must not pay November's."""
    november = owed("INV-2026-1235", 9900)

    finding = find(received(9900, "INV-2026-1234", "Northwind Trading"), november, closed=closed("INV-2026-1234"))

    assert finding.certain is None
    assert "but the text names INV-2026-1234, which is not open" in finding.suggestions[0].evidence


def test_a_payment_that_names_another_open_invoice_is_not_put_where_its_amount_fits() -> None:
    named, fitting = owed("INV-2026-1234", 5000), owed("INV-2026-4321", 12345)

    assert find(received(12345, "INV-2026-1234", "Northwind Trading"), named, fitting).certain is None


def test_another_customers_number_with_the_same_amount_waits_for_a_person() -> None:
    """Everybody pays 99.00 a month, and somebody mistyped the number."""
    finding = find(
        received(9900, "INV-2026-1234", "Delta Fuels"), owed("INV-2026-1234", 9900), owed("INV-2026-9999", 9900, OTHER)
    )

    assert finding.certain is None


def test_an_invoice_in_another_currency_is_never_meant() -> None:
    finding = find(received(10000, "INV-2026-0012", "Northwind Trading"), owed("INV-2026-0012", currency="EUR"))

    assert finding.suggestions == ()


def test_nobody_pays_before_the_invoice_is_written() -> None:
    finding = find(
        received(12345, payer="Northwind Trading", paid=date(2026, 10, 1)), owed("INV-1", 12345, issued=ISSUED)
    )

    assert finding.certain is None


def test_a_learned_name_is_as_good_as_the_own_one() -> None:
    invoice = owed("INV-1", 12345)
    index = OpenInvoices([invoice])
    assert search.find(received(12345, payer="Jane Doe"), index, Rules(), {}).certain is None

    index.payers.learn(names.key("Jane Doe"), invoice.customer_id)

    finding = search.find(received(12345, payer="JANE DOE"), index, Rules(), {})
    assert finding.certain is not None
    assert 'payer "JANE DOE" has paid for Northwind Trading LLC before' in finding.certain.evidence


def test_what_a_person_has_undone_is_not_applied_again() -> None:
    invoice = owed("INV-2026-0012")

    finding = find(received(text="INV-2026-0012", undone=frozenset((invoice.id,))), invoice)

    assert finding.certain is None
    assert "a person has undone this match before" in finding.suggestions[0].evidence


def test_a_second_payment_finds_nothing_left_of_an_invoice_that_is_spoken_for() -> None:
    invoice = owed("INV-2026-0012", 10000)
    index = OpenInvoices([invoice])

    index.pay(invoice.id, 10000)

    assert search.find(received(text="INV-2026-0012"), index, Rules(), {}).certain is None
    assert index.get(invoice.id) is None


def test_what_was_only_decided_can_be_forgotten_again() -> None:
    invoice = owed("INV-2026-0012", 10000)
    index = OpenInvoices([invoice])
    index.pay(invoice.id, 4000)
    index.pay(invoice.id, 6000)

    index.forget_payments()

    assert index.get(invoice.id) == invoice
    assert index.by_amount("USD", 10000) == [invoice]


def test_every_fit_and_strength_has_its_confidence_and_a_known_payer_never_lowers_it() -> None:
    assert set(FITS) == {(fit, strength) for fit in Fit for strength in Strength}
    assert all(without <= with_payer for without, with_payer in FITS.values())


def test_the_index_forgets_what_it_removes() -> None:
    index = OpenInvoices([owed("INV-1"), owed("INV-2", 500)])
    for number in ("INV-1", "INV-2"):
        index.remove(owed(number).id)

    assert len(index) == 0
    assert index.by_key("INV/1") == {}
    assert index.by_amount("USD", 10000) == []
    assert index.by_customer(an_id("Northwind Trading LLC"), "USD") == []


def test_on_the_standard_mix_most_is_applied_by_itself_and_right() -> None:
    """The goal of docs/accounting.md, on a smaller book than in `bench.matching`, and a seed not tuned on."""
    seed = TUNING_SEED + 77
    book = make_book(seed, invoice_count=4000, closed_count=4000)

    score = bench.run(book, make_payments(book, seed + 1, 2000))

    assert score.applied_share >= 0.85, bench.report(score)
    assert score.right_share >= 0.995, bench.report(score)
    assert set(score.met) == set(STANDARD_MIX)
