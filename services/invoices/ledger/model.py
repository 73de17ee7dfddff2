"""The entries that business events post (docs/accounting.md, double entry). Debit left, credit right, cents."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

BANK = "1000"
EXTERNAL = "1090"
RECEIVABLE = "1100"
SALES_TAX = "2100"
UNAPPLIED = "2200"
REVENUE = "4000"
DISCOUNTS = "4100"
CREDIT_NOTES = "4200"
ADJUSTMENTS = "4300"
BAD_DEBT = "6100"

Kind = Literal[
    "issue",
    "external",
    "payment",
    "application",
    "refund",
    "credit_note",
    "credit_application",
    "write_off",
    "reversal",
]


class EntryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an entry: either a debit or a credit, never both, never neither."""

    account_id: UUID
    debit_cents: int = 0
    credit_cents: int = 0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A journal entry to be posted, once for each `source`."""

    source: str
    kind: Kind
    entry_date: date
    description: str
    currency: str
    lines: tuple[EntryLine, ...]
    invoice_id: UUID | None = None
    payment_id: UUID | None = None

    def __post_init__(self) -> None:
        assert self.lines, "an entry without lines"
        debit_cents = sum(line.debit_cents for line in self.lines)
        credit_cents = sum(line.credit_cents for line in self.lines)
        assert debit_cents == credit_cents, f"{self.source} does not balance: {debit_cents} against {credit_cents}"


@functools.lru_cache(maxsize=10_000)
def system_account(tenant_id: UUID, code: str) -> UUID:
    """The id of an account that every tenant has; the same as `account_id` of the migration works out."""
    return UUID(hashlib.md5(f"{tenant_id}:{code}".encode(), usedforsecurity=False).hexdigest())


def lines_of(debits: Mapping[UUID, int]) -> tuple[EntryLine, ...]:
    """Lines from signed amounts by account: above zero debits, below zero credits, zero left out."""
    return tuple(
        EntryLine(account_id=account, debit_cents=max(cents, 0), credit_cents=max(-cents, 0))
        for account, cents in debits.items()
        if cents
    )


def mirrored(lines: Iterable[EntryLine]) -> tuple[EntryLine, ...]:
    """The same lines with their sides exchanged."""
    return tuple(
        EntryLine(account_id=line.account_id, debit_cents=line.credit_cents, credit_cents=line.debit_cents)
        for line in lines
    )


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """What an issued invoice posts. `revenue_cents` is by revenue account, before the invoice's own discount."""

    tenant_id: UUID
    invoice_id: UUID
    version: int
    issue_date: date
    currency: str
    total_cents: int
    discount_cents: int
    tax_cents: int
    adjustment_cents: int
    revenue_cents: Mapping[UUID, int]


def issue_entry(billed: Billed) -> Entry:
    """Issued: the total is receivable, against revenue, tax and adjustment; the discount given is shown."""
    accounts = {
        system_account(billed.tenant_id, RECEIVABLE): billed.total_cents,
        system_account(billed.tenant_id, DISCOUNTS): billed.discount_cents,
    }
    for account, cents in billed.revenue_cents.items():
        accounts[account] = accounts.get(account, 0) - cents
    for code, cents in ((SALES_TAX, billed.tax_cents), (ADJUSTMENTS, billed.adjustment_cents)):
        account = system_account(billed.tenant_id, code)
        accounts[account] = accounts.get(account, 0) - cents
    return Entry(
        source=f"invoice:{billed.invoice_id}:v{billed.version}",
        kind="issue",
        entry_date=billed.issue_date,
        description="Invoice issued",
        currency=billed.currency,
        invoice_id=billed.invoice_id,
        lines=lines_of(accounts),
    )


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that moves from one account to another. `deposit_account_id` replaces the bank."""

    tenant_id: UUID
    source: str
    entry_date: date
    currency: str
    amount_cents: int
    invoice_id: UUID | None = None
    payment_id: UUID | None = None
    deposit_account_id: UUID | None = None

    @property
    def bank(self) -> UUID:
        """Where the money lies."""
        return self.deposit_account_id or self.account(BANK)

    def account(self, code: str) -> UUID:
        """An account of the chart that every tenant has."""
        return system_account(self.tenant_id, code)

    def entry(self, kind: Kind, description: str, *, debit: UUID, credit: UUID) -> Entry:
        """The entry of the whole amount from one account to the other."""
        assert self.amount_cents > 0, self.amount_cents
        return Entry(
            source=self.source,
            kind=kind,
            entry_date=self.entry_date,
            description=description,
            currency=self.currency,
            invoice_id=self.invoice_id,
            payment_id=self.payment_id,
            lines=(
                EntryLine(account_id=debit, debit_cents=self.amount_cents),
                EntryLine(account_id=credit, credit_cents=self.amount_cents),
            ),
        )


def external_entry(paid: Movement) -> Entry:
    """Paid outside of this system."""
    return paid.entry("external", "Paid outside", debit=paid.account(EXTERNAL), credit=paid.account(RECEIVABLE))


def payment_entry(received: Movement) -> Entry:
    """Payment received: in the bank, not yet on any invoice."""
    return received.entry("payment", "Payment received", debit=received.bank, credit=received.account(UNAPPLIED))


def application_entry(applied: Movement) -> Entry:
    """Payment applied to an invoice."""
    return applied.entry(
        "application", "Payment applied", debit=applied.account(UNAPPLIED), credit=applied.account(RECEIVABLE)
    )


def refund_entry(refunded: Movement) -> Entry:
    """Refund of unapplied cash."""
    return refunded.entry("refund", "Payment refunded", debit=refunded.account(UNAPPLIED), credit=refunded.bank)


def write_off_entry(lost: Movement) -> Entry:
    """Write-off, or a short-pay within the tenant's tolerance."""
    return lost.entry("write_off", "Written off", debit=lost.account(BAD_DEBT), credit=lost.account(RECEIVABLE))


def credit_application_entry(applied: Movement) -> Entry:
    """A credit note's unapplied rest put on another invoice."""
    return applied.entry(
        "credit_application", "Credit applied", debit=applied.account(UNAPPLIED), credit=applied.account(RECEIVABLE)
    )


def credit_note_entry(credited: Movement, *, tax_cents: int, due_cents: int) -> Entry:
    """Credit note: up to what is due it lowers the receivable, the rest becomes the customer's unapplied cash."""
    total_cents = credited.amount_cents
    applied_cents = min(total_cents, due_cents)
    return Entry(
        source=credited.source,
        kind="credit_note",
        entry_date=credited.entry_date,
        description="Credit note",
        currency=credited.currency,
        invoice_id=credited.invoice_id,
        lines=lines_of(
            {
                credited.account(CREDIT_NOTES): total_cents - tax_cents,
                credited.account(SALES_TAX): tax_cents,
                credited.account(RECEIVABLE): -applied_cents,
                credited.account(UNAPPLIED): applied_cents - total_cents,
            }
        ),
    )
