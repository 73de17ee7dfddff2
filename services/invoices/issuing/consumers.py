"""What others did that ends or marks invoices."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.issuing.closing import erase
from services.invoices.settlement import actions as settlement
from services.invoices.settlement.events import INVOICE_SENT
from shared.clock import now
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


class CommunicationSent(msgspec.Struct, frozen=True, kw_only=True):
    """What invoices need of a message that was handed over."""

    invoice_id: UUID | None = None
    kind: str | None = None
    sent_at: datetime | None = None

    @property
    def is_reminder(self) -> bool:
        """Whether it reminds of an invoice that was sent before."""
        return self.kind not in ("send", "email")


async def mark_sent(conn: Conn, event: Event) -> None:
    """Note on the invoice that its customer was written to."""
    sent = event.decode(CommunicationSent)
    if sent.invoice_id is None:
        return
    invoice = (await settlement.lock(conn, event.tenant_id, [sent.invoice_id])).get(sent.invoice_id)
    if invoice is None:
        return
    at = sent.sent_at or event.time
    moment = await settlement.moment(conn, event.tenant_id, now())
    if sent.is_reminder:
        after = msgspec.structs.replace(invoice, last_notification_at=at)
        await settlement.settle(conn, invoice, after, moment=moment)
    else:
        after = msgspec.structs.replace(invoice, last_notification_at=at, sent_at=at)
        await settlement.settle(conn, invoice, after, moment=moment, also=(INVOICE_SENT,))


SUBSCRIPTIONS = (
    Subscription("customer.deleted", erase),
    Subscription("communication.sent", mark_sent),
)
