"""HTTP: communications, and the page where a contact stops reminders."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from aiohttp import web
from msgspec import Meta

from services.notifier.communications import actions, pages, store
from services.notifier.communications.errors import (
    CommunicationGone,
    CommunicationUnknown,
    CustomerUnknown,
    LinkUnknown,
)
from services.notifier.communications.events import Communication, Kind, Status
from services.notifier.recipients import asking
from services.notifier.templates.errors import TemplateUnknown
from shared import links
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body, in_utc
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


class CommunicationCreate(Body, frozen=True, kw_only=True):
    """A statement of account to be sent to a customer. Mails about invoices are asked for at the invoice."""

    kind: Literal["statement"]
    customer_id: UUID
    start: Annotated[date, Meta(description="by default the first day of the month of `end`")] | None = None
    end: Annotated[date, Meta(description="by default today")] | None = None
    template_id: Annotated[UUID, Meta(description="by default the system's of stage `statement`")] | None = None
    scheduled_date: Annotated[datetime, Meta(tz=True, description="now, unless a later instant is given")] | None = None
    cc_self: bool = False


async def create_communication(call: Call[CommunicationCreate, None]) -> web.StreamResponse:
    """Send a statement of account. The document is made when the mail goes, so it shows what is true then."""
    body = call.body
    end = body.end or call.today()
    start = body.start or end.replace(day=1)
    if start > end:
        raise InvalidFields([FieldError(field="end", message="must not be before `start`")])
    await asking.learn_of_customers(call.runtime, call.caller.tenant_id, [body.customer_id])
    async with call.transaction() as conn:
        communication = await actions.ask_for_statement(
            conn,
            call.caller.tenant_id,
            body.customer_id,
            period=(start, end),
            template_id=body.template_id,
            scheduled_for=max(in_utc(body.scheduled_date or call.now, "scheduled_date"), call.now),
            cc_self=body.cc_self,
            requested_by=call.caller.actor,
            now=call.now,
        )
        return call.created(communication, version=communication.version)


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


async def delete_communication(call: Call[None, None]) -> web.StreamResponse:
    """Cancel a communication that is scheduled. It stays in the list, as cancelled."""
    async with call.transaction() as conn:
        return call.deleted(
            await actions.cancel(conn, call.caller.tenant_id, call.id("communication_id"), now=call.now)
        )


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
    Route(
        "POST",
        ALL,
        create_communication,
        scope=WRITE,
        body=CommunicationCreate,
        returns=Communication,
        status=201,
        refuses=(CustomerUnknown, TemplateUnknown),
    ),
    Route("GET", ONE, get_communication, scope=READ, returns=Communication, refuses=(CommunicationUnknown,)),
    Route("POST", f"{ONE}/cancel", cancel_communication, scope=WRITE, returns=Communication, refuses=CANCEL_REFUSES),
    Route("DELETE", ONE, delete_communication, scope=WRITE, returns=Communication, refuses=CANCEL_REFUSES),
    Route("GET", PAGE, show_unsubscribe, public=True, content_type="text/html", refuses=(LinkUnknown,)),
    Route(
        "POST",
        PAGE,
        unsubscribe,
        public=True,
        raw_body=True,
        takes=("application/x-www-form-urlencoded",),
        content_type="text/html",
        refuses=(LinkUnknown,),
    ),
)
