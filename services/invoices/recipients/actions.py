"""Keeping the copies of customers up to date."""

from services.invoices.recipients import store
from services.invoices.recipients.model import Customer, recipient_of
from shared.db import Conn
from shared.events import Event


async def remember(conn: Conn, event: Event) -> None:
    """Copy a customer from its event."""
    await store.keep(conn, recipient_of(event.tenant_id, event.decode(Customer), event.sequence))
