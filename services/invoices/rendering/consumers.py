"""Events in: invoices that were made together with their document."""

from services.invoices.rendering import store
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


async def remember(conn: Conn, event: Event) -> None:
    """Have the document rendered soon: that needs the store of blobs, which no transaction waits for."""
    await store.request_pdf(conn, event.tenant_id, event.subject, now=clock.now())


SUBSCRIPTIONS = (Subscription("pdf.requested", remember),)
