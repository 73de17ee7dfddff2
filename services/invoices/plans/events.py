"""What is announced of payment plans, in the shape that the API shows them."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from services.invoices.plans.model import Frequency, PlanStatus
from shared.events import EventType, NewEvent


class PlanInstalment(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a plan. Money fills the instalments in order."""

    number: Annotated[int, Meta(description="from 1")]
    due_date: date
    amount: Decimal
    paid_amount: Decimal


class PlannedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice of a plan."""

    invoice_id: UUID
    amount: Annotated[Decimal, Meta(description="what was due on it when the plan was made")]


class PaymentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is due on several invoices of one customer, paid in instalments."""

    id: UUID
    customer_id: UUID
    status: PlanStatus
    currency: str
    amount: Annotated[Decimal, Meta(description="all instalments together")]
    paid_amount: Annotated[Decimal, Meta(description="what its invoices have brought in since")]
    remaining_amount: Decimal
    frequency: Annotated[Frequency | None, Meta(description="null where the caller gave the instalments")]
    notes: str | None
    invoice_ids: Sequence[UUID]
    invoices: Sequence[PlannedInvoice]
    instalments: Sequence[PlanInstalment]
    ended_at: Annotated[datetime | None, Meta(description="when it stopped being active")]
    version: int
    created_at: datetime
    updated_at: datetime


PLAN_ENROLLED = EventType("payment_plan.enrolled", PaymentPlan, "Invoices were put on a payment plan.")
PLAN_COMPLETED = EventType("payment_plan.completed", PaymentPlan, "Nothing is due on a payment plan's invoices.")
PLAN_DEFAULTED = EventType("payment_plan.defaulted", PaymentPlan, "An instalment was not paid by its day.")

EVENTS = (PLAN_ENROLLED, PLAN_COMPLETED, PLAN_DEFAULTED)


def announce(kind: EventType[PaymentPlan], tenant_id: UUID, plan: PaymentPlan) -> NewEvent:
    """A fact about a payment plan, with the whole plan in it."""
    return kind.new(tenant_id=tenant_id, subject=plan.id, sequence=plan.version, data=plan)
