"""HTTP: communications, and the page where a contact stops reminders."""

from typing import Annotated, Any
from uuid import UUID

from aiohttp import web
from msgspec import Meta

from services.notifier.communications import actions, pages, store
from services.notifier.communications.errors import CommunicationGone, CommunicationUnknown, LinkUnknown
from services.notifier.communications.events import Communication, Kind, Status
from shared import links
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route

UNSUBSCRIBE = "unsubscribe"


class CommunicationQuery(PageQuery, frozen=True, kw_only=True):
    """Which communications."""

    status: Annotated[list[Status], Meta(description="one or several, separated by commas")] | None = None
    kind: Annotated[list[Kind], Meta(description="one or several, separated by commas")] | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    search: Annotated[str, Meta(max_length=200, description="part of the address or the subject")] | None = None


async def list_communications(call: Call[None, CommunicationQuery]) -> web.StreamResponse:
    """List communications: what was sent, what failed, and what is scheduled."""
    where, query = Where("tenant_id", call.caller.tenant_id), call.query
    if query.status:
        where.add("status = any(?)", list(query.status))
    if query.kind:
        where.add("kind = any(?)", list(query.kind))
    if query.invoice_id:
        where.add("invoice_ids @> ?", [query.invoice_id])
    if query.customer_id:
        where.add("customer_id = ?", query.customer_id)
    if query.search:
        where.add("position(lower(?) in lower(to_email || ' ' || coalesce(subject, ''))) > 0", query.search)
    async with call.connection() as conn:
        return call.page(await store.page(conn, where, query))


async def get_communication(call: Call[None, None]) -> web.StreamResponse:
    """Get a communication, with the words that were sent."""
    async with call.connection() as conn:
        communication = await actions.get(conn, call.caller.tenant_id, call.id("communication_id"))
    return call.reply(communication, version=communication.version)


async def cancel_communication(call: Call[None, None]) -> web.StreamResponse:
    """Cancel a communication that is scheduled. One that is cancelled already stays so."""
    async with call.transaction() as conn:
        communication = await actions.cancel(conn, call.caller.tenant_id, call.id("communication_id"), now=call.now)
        return call.reply(communication, version=communication.version)


async def show_unsubscribe(call: Call[None, None]) -> web.StreamResponse:
    """Show the page that asks whether to stop reminders. A look changes nothing: mail scanners follow links too."""
    tenant_id, communication_id = _target(call)
    async with call.connection() as conn:
        email = await store.address_of(conn, tenant_id, communication_id)
    if email is None:
        raise LinkUnknown
    return pages.html(pages.unsubscribe(email=email, state="asked"))


async def unsubscribe(call: Call[None, None]) -> web.StreamResponse:
    """Stop reminders to whom a mail was addressed; or, by the page's second button, allow them again."""
    tenant_id, communication_id = _target(call)
    again = b"again=yes" in call.raw
    act: Any = actions.resubscribe if again else actions.unsubscribe
    async with call.transaction() as conn:
        email = await act(conn, tenant_id, communication_id, **({} if again else {"now": call.now}))
    if email is None:
        raise LinkUnknown
    return pages.html(pages.unsubscribe(email=email, state="again" if again else "stopped"))


def _target(call: Call[None, None]) -> tuple[UUID, UUID]:
    target = links.read(call.runtime.settings.secret_key, UNSUBSCRIBE, call.path("token"), now=call.now)
    if target is None:
        raise LinkUnknown
    return target


ALL = "/v1/communications"
ONE = "/v1/communications/{communication_id}"
PAGE = "/unsubscribe/{token}"
READ, WRITE = "invoices:read", "invoices:write"
CANCEL_REFUSES = (CommunicationUnknown, CommunicationGone)

ROUTES = (
    Route("GET", ALL, list_communications, scope=READ, query=CommunicationQuery, returns=Communication, many=True),
    Route("GET", ONE, get_communication, scope=READ, returns=Communication, refuses=(CommunicationUnknown,)),
    Route("POST", f"{ONE}/cancel", cancel_communication, scope=WRITE, returns=Communication, refuses=CANCEL_REFUSES),
    Route("DELETE", ONE, cancel_communication, scope=WRITE, returns=Communication, refuses=CANCEL_REFUSES),
    Route("GET", PAGE, show_unsubscribe, public=True, content_type="text/html", refuses=(LinkUnknown,)),
    Route("POST", PAGE, unsubscribe, public=True, raw_body=True, content_type="text/html", refuses=(LinkUnknown,)),
)
