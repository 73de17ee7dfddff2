"""Money that payments tell about: received and paid back."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec

from services.invoices.ledger import actions as ledger
from services.invoices.ledger.model import Entry, Movement, payment_entry, refund_entry
from shared.clock import now
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription
from shared.money import PositiveMoney


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger needs of a payment."""

    id: UUID
    amount: PositiveMoney
    currency: str
    payment_date: date
    deposit_account_id: UUID | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money paid back."""

    id: UUID
    amount: PositiveMoney
    date: date


class RefundedPayment(Payment, frozen=True, kw_only=True):
    """A payment of which some was paid back just now."""

    refund: Refund


async def post_payments(conn: Conn, events: Sequence[Event]) -> None:
    """Payments received: the bank has them, no invoice does yet. One statement a tenant: a bank file has thousands."""
    entries: dict[UUID, list[Entry]] = {}
    for event in sorted(events, key=lambda event: event.tenant_id):
        entries.setdefault(event.tenant_id, []).append(_received(event))
    for tenant_id, some in entries.items():
        await ledger.post(conn, tenant_id, *some, now=now())


def _received(event: Event) -> Entry:
    payment = event.decode(Payment)
    return payment_entry(_movement(event, payment, f"payment:{payment.id}", payment.payment_date, payment.amount))


async def post_refund(conn: Conn, event: Event) -> None:
    """Unapplied money went back to the payer."""
    payment = event.decode(RefundedPayment)
    refund = payment.refund
    paid_back = _movement(event, payment, f"refund:{refund.id}", refund.date, refund.amount)
    await ledger.post(conn, event.tenant_id, refund_entry(paid_back), now=now())


def _movement(event: Event, payment: Payment, source: str, day: date, amount_cents: int) -> Movement:
    return Movement(
        tenant_id=event.tenant_id,
        source=source,
        entry_date=day,
        currency=payment.currency,
        amount_cents=int(amount_cents),
        payment_id=payment.id,
        deposit_account_id=payment.deposit_account_id,
    )


SUBSCRIPTIONS = (
    Subscription("payment.created", post_payments, batch=True),
    Subscription("payment.refunded", post_refund),
)
