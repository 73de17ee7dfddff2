"""What an entry of the journal and a trial balance are."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from shared.money import major


class EntryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an entry: exactly one of debit and credit is above zero."""

    account_id: UUID
    account_code: str
    debit: Decimal
    credit: Decimal


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the journal. It never changes; a mistake is mended by another that reverses it."""

    id: UUID
    date: date
    description: str
    kind: Annotated[str, Meta(description="what happened: `issue`, `application`, `credit_note`, `reversal`…")]
    source: Annotated[str, Meta(description="what it was made for; the same source is posted once")]
    currency: str
    reverses_id: UUID | None
    invoice_id: UUID | None
    payment_id: UUID | None
    created_at: datetime
    lines: Sequence[EntryLine]


class AccountBalance(msgspec.Struct, frozen=True, kw_only=True):
    """One account's sums. `balance` is debit less credit."""

    account_id: UUID
    code: str
    name: str
    type: str
    debit: Decimal
    credit: Decimal
    balance: Decimal


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts of a currency up to a day; both totals are the same."""

    as_of: Annotated[date | None, Meta(description="the last day that counts; null: all entries")]
    currency: str
    accounts: Sequence[AccountBalance]
    total_debit: Decimal
    total_credit: Decimal


class AccountSums(msgspec.Struct, frozen=True, kw_only=True):
    """What was posted to one account, in cents."""

    account_id: UUID
    code: str
    name: str
    type: str
    debit_cents: int
    credit_cents: int


def trial_balance(sums: Sequence[AccountSums], *, as_of: date | None, currency: str) -> TrialBalance:
    """The balance of every account and the two totals."""
    return TrialBalance(
        as_of=as_of,
        currency=currency,
        accounts=[_balance(account) for account in sums],
        total_debit=major(sum(account.debit_cents for account in sums)),
        total_credit=major(sum(account.credit_cents for account in sums)),
    )


def _balance(account: AccountSums) -> AccountBalance:
    return AccountBalance(
        account_id=account.account_id,
        code=account.code,
        name=account.name,
        type=account.type,
        debit=major(account.debit_cents),
        credit=major(account.credit_cents),
        balance=major(account.debit_cents - account.credit_cents),
    )
