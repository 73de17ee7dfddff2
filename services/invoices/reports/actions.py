"""Making the reports: read, compute, shape."""

from datetime import date
from uuid import UUID

import msgspec

from services.invoices.reports import model, shapes, store
from services.invoices.reports.errors import StatementCustomerUnknown
from services.invoices.reports.model import AgedCustomer, Month, Posting
from services.invoices.reports.shapes import Aging, DsoMonth, Statement
from services.invoices.reports.store import Addressee
from shared.db import Conn
from shared.money import major


async def aging(conn: Conn, tenant_id: UUID, *, currency: str, as_of: date) -> Aging:
    """What was open at the end of a day, by how late it was."""
    balances = await store.balances(conn, tenant_id, currency=currency, as_of=as_of)
    customers = model.aging(balances, as_of=as_of)
    return Aging(
        as_of=as_of,
        currency=currency,
        customers=[_aged(customer) for customer in customers],
        total=msgspec.convert(_buckets(model.totals(customers)), shapes.AgingTotal),
    )


def _aged(customer: AgedCustomer) -> shapes.AgingCustomer:
    names = {"customer_id": customer.customer_id, "customer_name": customer.customer_name}
    return msgspec.convert({**names, **_buckets(customer.cents)}, shapes.AgingCustomer)


def _buckets(cents: tuple[int, ...]) -> dict[str, object]:
    amounts = {name: major(bucket) for name, bucket in zip(model.BUCKETS, cents, strict=True)}
    return {**amounts, "total": major(sum(cents))}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's account over a period, in cents, with whom it is for: what every form of a statement is made of."""

    customer_id: UUID
    addressee: Addressee
    currency: str
    start: date
    end: date
    opening_cents: int
    postings: list[Posting]
    unapplied_cents: int

    @property
    def balances(self) -> list[int]:
        """What was owed after each posting."""
        return model.running_balances(self.opening_cents, self.postings)

    @property
    def closing_cents(self) -> int:
        """What was owed in the end."""
        return self.opening_cents + sum(posting.change_cents for posting in self.postings)


async def account(conn: Conn, tenant_id: UUID, customer_id: UUID, *, currency: str, start: date, end: date) -> Account:
    """A customer's account over a period."""
    addressee = await store.addressee(conn, tenant_id, customer_id)
    if addressee is None:
        raise StatementCustomerUnknown(customer_id=customer_id)
    return Account(
        customer_id=customer_id,
        addressee=addressee,
        currency=currency,
        start=start,
        end=end,
        opening_cents=await store.opening_cents(conn, tenant_id, customer_id, currency=currency, start=start),
        postings=await store.postings(conn, tenant_id, customer_id, currency=currency, start=start, end=end),
        unapplied_cents=await store.unapplied_cents(conn, tenant_id, customer_id, currency=currency),
    )


def statement(account: Account) -> Statement:
    """The statement as the API shows it."""
    return Statement(
        customer_id=account.customer_id,
        customer_name=account.addressee.name,
        currency=account.currency,
        start=account.start,
        end=account.end,
        opening_balance=major(account.opening_cents),
        movements=[
            _movement(posting, balance_cents)
            for posting, balance_cents in zip(account.postings, account.balances, strict=True)
        ],
        closing_balance=major(account.closing_cents),
        unapplied_credit=major(account.unapplied_cents),
    )


def _movement(posting: Posting, balance_cents: int) -> shapes.StatementMovement:
    return shapes.StatementMovement(
        date=posting.date,
        kind=posting.kind,
        description=posting.description,
        invoice_id=posting.invoice_id,
        invoice_number=posting.invoice_number,
        payment_id=posting.payment_id,
        entry_id=posting.entry_id,
        charge=major(max(posting.change_cents, 0)),
        credit=major(max(-posting.change_cents, 0)),
        balance=major(balance_cents),
    )


async def dso(conn: Conn, tenant_id: UUID, *, currency: str, today: date) -> list[DsoMonth]:
    """Days sales outstanding of the last twelve months, the present one last."""
    firsts = model.months_until(today)
    ends = [model.last_day(first, today=today) for first in firsts]
    receivable = await store.receivable_cents(conn, tenant_id, currency=currency, days=ends)
    billed = await store.billed_cents(conn, tenant_id, currency=currency, start=firsts[0], end=ends[-1])
    months = [
        Month(
            first=first,
            days=model.days_of(first, today=today),
            receivable_cents=cents,
            billed_cents=billed.get(first, 0),
        )
        for first, cents in zip(firsts, receivable, strict=True)
    ]
    return [_dso_month(month) for month in months]


def _dso_month(month: Month) -> DsoMonth:
    return DsoMonth(
        month=f"{month.first:%Y-%m}",
        dso_days=model.dso_days(month),
        receivable=major(month.receivable_cents),
        billed=major(month.billed_cents),
    )
