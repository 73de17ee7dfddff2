"""What is bookable in an event, and that every booking balances."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.reconciliation import model
from services.payments.reconciliation.model import Fact, SeenInvoice, SeenPayment
from tests.unit.payments.builders import an_id

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CENTS = st.integers(0, 10**9)


def seen(**fields: object) -> SeenInvoice:
    """An invoice as an event shows it; `changes` holds plain pairs."""
    data: dict[str, Any] = {
        "id": an_id("invoice"),
        "version": 3,
        "invoice_number": "INV-1",
        "customer_id": an_id("customer"),
        "currency": "USD",
        "status": "pending",
        "amount": 119,
        "amount_due": 119,
        "discount_amount": 0,
        "tax_amount": 19,
        "adjustment_amount": 0,
        "external_payment_amount": 0,
        "written_off_amount": 0,
        "published_at": NOW,
        "line_items": [{"net_amount": 100}],
        **fields,
    }
    return msgspec.json.decode(msgspec.json.encode(data), type=SeenInvoice)


def facts(**fields: object) -> dict[str, Fact]:
    return {fact.change_type: fact for fact in model.invoice_facts(seen(**fields), NOW)}


def booking(fact: Fact) -> dict[str | None, int]:
    return {line.account_code: line.debit_cents - line.credit_cents for line in fact.lines}


def test_an_issued_invoice_is_receivable_against_revenue_and_tax() -> None:
    found = facts()

    assert found.keys() == {"invoice_issued"}
    assert booking(found["invoice_issued"]) == {"1100": 11900, "4000": -10000, "2100": -1900}


def test_an_invoice_without_lines_is_all_revenue() -> None:
    assert booking(facts(tax_amount=0, line_items=[])["invoice_issued"]) == {"1100": 11900, "4000": -11900}


def test_the_account_of_a_line_replaces_revenue() -> None:
    account = an_id("account")
    lines = facts(line_items=[{"net_amount": 100, "account_id": account}])["invoice_issued"].lines

    assert [(line.account_id, line.credit_cents) for line in lines if line.account_id] == [(account, 10000)]


def test_a_draft_is_not_bookable() -> None:
    assert facts(published_at=None) == {}


def test_a_draft_that_is_issued_is_one_fact_although_its_event_tells_of_changes() -> None:
    assert facts(changes={"published_at": [None, NOW], "amount": [1, 119]}).keys() == {"invoice_issued"}


def test_a_change_books_the_difference_and_the_issue_as_it_was() -> None:
    found = facts(changes={"amount": [69, 119], "line_items": [[{"net_amount": 50}], [{"net_amount": 100}]]})

    assert booking(found["invoice_issued"]) == {"1100": 6900, "4000": -5000, "2100": -1900}
    assert booking(found["invoice_changed"]) == {"1100": 5000, "4000": -5000}
    assert found["invoice_changed"].source.endswith(":3")


@pytest.mark.parametrize(
    ("field", "pair"), [("memo", [None, "x"]), ("status", ["pending", "overdue"]), ("tags", [[], ["a"]])]
)
def test_what_is_not_billed_is_not_bookable(field: str, pair: list[object]) -> None:
    assert facts(changes={field: pair}).keys() == {"invoice_issued"}


def test_a_void_mirrors_what_was_billed() -> None:
    found = facts(status="cancelled", changes={"status": ["pending", "cancelled"]})

    assert found.keys() == {"invoice_voided"}
    assert booking(found["invoice_voided"]) == {"1100": -11900, "4000": 10000, "2100": 1900}


def test_a_write_off_is_bad_debt_and_a_short_pay_is_not_counted_twice() -> None:
    written_off = facts(
        written_off_amount=119, amount_due=0, changes={"written_off_amount": [0, 119], "amount_due": [119, 0]}
    )
    short_pay = facts(
        written_off_amount=2, amount_due=0, changes={"written_off_amount": [0, 2], "amount_paid": [0, 117]}
    )

    assert booking(written_off["write_off"]) == {"6100": 11900, "1100": -11900}
    assert "write_off" not in short_pay


def test_a_tolerated_short_pay_books_the_money_and_the_loss() -> None:
    (fact,) = model.payment_facts(paid(Decimal(98), Decimal(2)), NOW)

    assert booking(fact) == {"2200": 9800, "6100": 200, "1100": -10000}
    assert (fact.amount_before_cents, fact.amount_after_cents) == (10000, 0)


def paid(
    amount: Decimal, lost: Decimal = Decimal(0), *, key: str = "allocations", status: str = "applied"
) -> SeenPayment:
    allocation = {
        "id": an_id("allocation"),
        "invoice_id": an_id("invoice"),
        "invoice_number": "INV-1",
        "customer_id": None,
        "amount": amount,
        "write_off_amount": lost,
        "status": status,
        "invoice_amount_due": 0,
        "matched_by": "cash_application",
    }
    data = {
        "id": an_id("payment"),
        "currency": "USD",
        "customer_id": None,
        "unapplied_amount": 0,
        "created_by": "key:1",
        key: [allocation],
    }
    return msgspec.convert(data, SeenPayment)


def test_money_that_is_asked_for_but_not_applied_is_not_bookable() -> None:
    assert model.payment_facts(paid(Decimal(98), status="pending"), NOW) == []


def test_what_was_taken_off_is_booked_back_and_its_application_is_named_again_in_case_it_was_missed() -> None:
    found = model.payment_facts(paid(Decimal(98), key="unmatched", status="reversed"), NOW)

    assert [fact.change_type for fact in found] == ["payment_applied", "payment_unapplied"]
    assert booking(found[1]) == {"1100": 9800, "2200": -9800}


def test_only_write_offs_and_credit_notes_above_the_limit_wait() -> None:
    written_off = facts(written_off_amount=119, changes={"written_off_amount": [0, 119]})["write_off"]

    assert model.waits(written_off, 11899)
    assert not model.waits(written_off, 11900)
    assert not model.waits(written_off, None)
    assert not model.waits(facts()["invoice_issued"], 0)


@given(net=CENTS, tax=CENTS, discount=CENTS, adjustment=st.integers(-(10**6), 10**6), external=CENTS)
def test_every_booking_balances(net: int, tax: int, discount: int, adjustment: int, external: int) -> None:
    total = net - discount + tax + adjustment
    invoice = msgspec.structs.replace(
        seen(),
        amount=Decimal(total) / 100,
        discount_amount=Decimal(discount) / 100,
        tax_amount=Decimal(tax) / 100,
        adjustment_amount=Decimal(adjustment) / 100,
        external_payment_amount=Decimal(external) / 100,
        line_items=(model.BilledLine(net_amount=Decimal(net) / 100),),
    )

    assert all(model.balances(fact.lines) for fact in model.invoice_facts(invoice, NOW))
