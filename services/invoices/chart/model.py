"""What an account is, and what of it may change."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from services.invoices.chart.errors import AccountArchived, AccountUsed, SystemAccount


class AccountType(StrEnum):
    """The side of the books that an account stands on."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    INCOME = "income"
    EXPENSE = "expense"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the general ledger."""

    id: UUID
    code: str
    name: str
    type: AccountType
    is_system: Annotated[bool, Meta(description="seeded for each tenant, and posted to by the system")]
    archived_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


def refuse_change(before: Account, after: Account, *, is_used: bool) -> None:
    """Refuse what would falsify the books or break the system's own postings."""
    if before.archived_at is not None:
        raise AccountArchived
    if before.is_system and (after.code, after.type) != (before.code, before.type):
        raise SystemAccount(code=before.code, field="code" if after.code != before.code else "type")
    if is_used and after.type != before.type:
        raise AccountUsed(code=before.code, field="type")
