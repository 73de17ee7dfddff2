"""The invented book of the demo."""

from datetime import date
from decimal import Decimal

from bench import demo_book
from bench.demo_book import Book, Issued

TODAY = date(2026, 11, 21)


def a_book(seed: int = 1) -> Book:
    return demo_book.invented(seed, TODAY, customers=60, invoices=800)


def issued(book: Book) -> list[Issued]:
    """The book's invoices as if the API had made them, each over 100."""
    return [
        Issued(str(number), f"INV-2026-{number:04}", Decimal("100.00"), one)
        for number, one in enumerate(book.invoices, start=1)
    ]


def test_the_same_seed_invents_the_same_book_and_another_seed_another() -> None:
    assert a_book() == a_book()
    assert a_book() != a_book(seed=2)


def test_a_book_is_a_year_long_and_ends_today() -> None:
    days = [one.issued for one in a_book().invoices]

    assert days == sorted(days)
    assert days[-1] <= TODAY
    assert (TODAY - days[0]).days > 350


def test_names_of_customers_are_all_different() -> None:
    assert len({customer.name for customer in a_book().customers}) == 60


def test_nothing_is_paid_in_the_future_and_no_payment_twice() -> None:
    book = a_book()

    payments = demo_book.payments(1, TODAY, book.customers, issued(book))

    assert all(payment["payment_date"] <= TODAY.isoformat() for payment in payments)
    assert all(payment["amount"] > 0 for payment in payments)
    assert len({payment["external_payment_id"] for payment in payments}) == len(payments)


def test_the_book_has_every_kind_of_trouble() -> None:
    assert {one.fate for one in a_book().invoices} == {fate for fate, _ in demo_book.FATES}


def test_the_bank_file_pays_unpaid_invoices_among_debits() -> None:
    book = a_book()

    lines = demo_book.bank_file(1, TODAY, book.customers, issued(book)).splitlines()

    assert lines[0] == "Date,Payer,Reference,Amount"
    assert sum(line.endswith(",100.00") for line in lines) == demo_book.BANK_ROWS
    assert lines[-1].endswith("Monthly fee,-18.00")
