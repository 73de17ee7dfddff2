"""The reports as the API shows them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta


class AgingTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Open money by how many days it is late."""

    current: Decimal
    days_1_30: Decimal
    days_31_60: Decimal
    days_61_90: Decimal
    days_over_90: Decimal
    total: Decimal


class AgingCustomer(AgingTotal, frozen=True, kw_only=True):
    """One customer's open money by how many days it is late."""

    customer_id: Annotated[UUID | None, Meta(description="null for customers that were deleted since")]
    customer_name: str


class Aging(msgspec.Struct, frozen=True, kw_only=True):
    """What was open at the end of a day; `total.total` is the balance of account 1100 on that day."""

    as_of: date
    currency: str
    customers: Sequence[AgingCustomer]
    total: AgingTotal


class StatementMovement(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what the customer owes."""

    date: date
    kind: Annotated[str, Meta(description="as in the ledger: `issue`, `application`, `credit_note`, `reversal`…")]
    description: str
    invoice_id: UUID
    invoice_number: str | None
    payment_id: UUID | None
    entry_id: UUID
    charge: Annotated[Decimal, Meta(description="what the customer owes more")]
    credit: Annotated[Decimal, Meta(description="what the customer owes less")]
    balance: Decimal


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's account over a period, both days included."""

    customer_id: UUID
    customer_name: str
    currency: str
    start: date
    end: date
    opening_balance: Decimal
    movements: Sequence[StatementMovement]
    closing_balance: Decimal
    unapplied_credit: Annotated[Decimal, Meta(description="what credit notes of the customer still have left today")]


class DsoMonth(msgspec.Struct, frozen=True, kw_only=True):
    """How long money was outstanding in a month."""

    month: Annotated[str, Meta(description="`2026-01`")]
    dso_days: Annotated[
        Decimal | None,
        Meta(description="balance at the month's end ÷ billed in the month × its days; null where nothing was billed"),
    ]
    receivable: Annotated[Decimal, Meta(description="balance of account 1100 at the month's end")]
    billed: Annotated[Decimal, Meta(description="what was billed in the month, less what was voided")]
