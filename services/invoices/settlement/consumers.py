"""Money that payments tell about: received and paid back."""

from datetime import date
from uuid import UUID

import msgspec

from services.invoices.ledger import actions as ledger
from services.invoices.ledger.model import Movement, payment_entry, refund_entry
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


async def post_payment(conn: Conn, event: Event) -> None:
    """Payment received: the bank has it, no invoice does yet."""
    payment = event.decode(Payment)
    received = _movement(event, payment, f"payment:{payment.id}", payment.payment_date, payment.amount)
    await ledger.post(conn, event.tenant_id, payment_entry(received), now=now())


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
    Subscription("payment.created", post_payment),
    Subscription("payment.refunded", post_refund),
)
