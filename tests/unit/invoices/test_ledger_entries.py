"""What business events post (docs/accounting.md, double entry)."""

from collections import defaultdict
from datetime import date
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.invoices.ledger import model
from services.invoices.ledger.model import Billed, Entry, Movement, system_account

TENANT = uuid4()
REVENUE = system_account(TENANT, model.REVENUE)


def by_code(entry: Entry) -> dict[str, int]:
    """Debit less credit of each account of the common chart."""
    codes = {
        system_account(TENANT, code): code
        for code in ("1000", "1090", "1100", "2100", "2200", "4000", "4100", "4200", "4300", "6100")
    }
    sums: defaultdict[str, int] = defaultdict(int)
    for line in entry.lines:
        sums[codes.get(line.account_id, str(line.account_id))] += line.debit_cents - line.credit_cents
    return dict(sums)


def a_bill(**fields: object) -> Billed:
    values: dict[str, object] = {
        "tenant_id": TENANT,
        "invoice_id": uuid4(),
        "version": 1,
        "issue_date": date(2026, 3, 10),
        "currency": "USD",
        "total_cents": 11_000,
        "discount_cents": 0,
        "tax_cents": 1_000,
        "adjustment_cents": 0,
        "revenue_cents": {REVENUE: 10_000},
    }
    return Billed(**(values | fields))  # type: ignore[arg-type]


def a_movement(cents: int = 500, **fields: object) -> Movement:
    values: dict[str, object] = {
        "tenant_id": TENANT,
        "source": "test:1",
        "entry_date": date(2026, 3, 10),
        "currency": "USD",
        "amount_cents": cents,
    }
    return Movement(**(values | fields))  # type: ignore[arg-type]


def test_issuing_posts_the_total_against_revenue_and_tax() -> None:
    assert by_code(model.issue_entry(a_bill())) == {"1100": 11_000, "4000": -10_000, "2100": -1_000}


def test_a_discount_is_shown_and_an_adjustment_takes_either_side() -> None:
    bill = a_bill(total_cents=9_900, discount_cents=1_000, adjustment_cents=-100)

    assert by_code(model.issue_entry(bill)) == {
        "1100": 9_900,
        "4100": 1_000,
        "4300": 100,
        "4000": -10_000,
        "2100": -1_000,
    }


def test_each_line_is_revenue_of_its_own_account() -> None:
    consulting = uuid4()
    bill = a_bill(revenue_cents={REVENUE: 4_000, consulting: 6_000})

    assert by_code(model.issue_entry(bill))[str(consulting)] == -6_000


def test_money_moves_as_the_table_of_postings_says() -> None:
    moved = a_movement(500)

    assert by_code(model.external_entry(moved)) == {"1090": 500, "1100": -500}
    assert by_code(model.payment_entry(moved)) == {"1000": 500, "2200": -500}
    assert by_code(model.application_entry(moved)) == {"2200": 500, "1100": -500}
    assert by_code(model.refund_entry(moved)) == {"2200": 500, "1000": -500}
    assert by_code(model.write_off_entry(moved)) == {"6100": 500, "1100": -500}


def test_a_deposit_account_replaces_the_bank() -> None:
    till = uuid4()

    assert by_code(model.payment_entry(a_movement(500, deposit_account_id=till))) == {str(till): 500, "2200": -500}


def test_what_a_credit_note_exceeds_the_due_by_becomes_unapplied_credit() -> None:
    entry = model.credit_note_entry(a_movement(1_200), tax_cents=200, due_cents=900)

    assert by_code(entry) == {"4200": 1_000, "2100": 200, "1100": -900, "2200": -300}


def test_the_mirror_image_of_an_entry_undoes_it() -> None:
    entry = model.issue_entry(a_bill())

    sums: defaultdict[UUID, int] = defaultdict(int)
    for line in (*entry.lines, *model.mirrored(entry.lines)):
        sums[line.account_id] += line.debit_cents - line.credit_cents
    assert set(sums.values()) == {0}


amounts = st.integers(min_value=0, max_value=10**9)


@given(amounts, amounts, amounts, st.integers(min_value=-(10**6), max_value=10**6))
def test_whatever_is_billed_balances(net: int, discount: int, tax: int, adjustment: int) -> None:
    total = net - discount + tax + adjustment
    bill = a_bill(
        total_cents=total,
        discount_cents=discount,
        tax_cents=tax,
        adjustment_cents=adjustment,
        revenue_cents={REVENUE: net},
    )
    if any((total, discount, tax, adjustment, net)):
        assert sum(by_code(model.issue_entry(bill)).values()) == 0
