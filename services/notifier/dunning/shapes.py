"""A dunning schedule and a pause as the API shows them."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from services.notifier.dunning import model


class ShownFee(msgspec.Struct, frozen=True, kw_only=True):
    """A fee for being late, charged as an invoice of its own."""

    amount: Annotated[Decimal, Meta(description="a fixed part")] = Decimal(0)
    percent: Annotated[Decimal, Meta(description="a part of what is due, in percent")] = Decimal(0)


class ShownStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a schedule."""

    days: Annotated[int, Meta(description="days after the due date; negative: before it")]
    template_id: UUID
    minimum_amount: Annotated[Decimal, Meta(description="the step is left out where less is due")] = Decimal(0)
    escalation_level: Annotated[int, Meta(description="level of the contacts that it addresses")] = 0
    late_fee: ShownFee | None = None


class DunningSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """When customers are reminded, by which words."""

    id: UUID
    name: str
    is_active: bool
    is_default: Annotated[bool, Meta(description="for customers that no other schedule names")]
    tags: Annotated[Sequence[str], Meta(description="names or ids of tags whose customers it is for")]
    customer_ids: Sequence[UUID]
    steps: Sequence[ShownStep]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def rule(self) -> model.Schedule:
        """What the clock goes by."""
        return model.Schedule(
            id=self.id,
            is_default=self.is_default,
            tags=frozenset(tag.casefold() for tag in self.tags),
            customers=frozenset(self.customer_ids),
            steps=tuple(_step(step) for step in self.steps),
        )


def _step(step: ShownStep) -> model.Step:
    fee = step.late_fee
    return model.Step(
        days=step.days,
        template_id=step.template_id,
        minimum_cents=int(step.minimum_amount.scaleb(2)),
        escalation_level=step.escalation_level,
        late_fee=model.LateFee(amount_cents=int(fee.amount.scaleb(2)), percent=fee.percent) if fee else None,
    )


class DunningPause(msgspec.Struct, frozen=True, kw_only=True):
    """A customer or an invoice that the clock leaves alone."""

    id: UUID
    customer_id: UUID | None
    invoice_id: UUID | None
    until: Annotated[date | None, Meta(description="last day of the pause; null: until it is deleted")]
    reason: str | None
    created_at: datetime
