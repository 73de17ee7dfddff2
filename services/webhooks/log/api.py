"""The event log over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.webhooks.config import WebhooksConfig
from services.webhooks.log import store
from services.webhooks.log.errors import EventNotFound
from services.webhooks.log.model import LoggedEvent
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import Route


class EventQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the event log."""

    type: Annotated[list[str], Meta(description="one or several types, comma-separated")] | None = None
    subject: Annotated[UUID, Meta(description="id of the object that changed")] | None = None
    created_at_start: Annotated[datetime, Meta(tz=True)] | None = None
    created_at_end: Annotated[datetime, Meta(tz=True)] | None = None


async def list_events(call: Call[None, EventQuery]) -> web.StreamResponse:
    """List events.

    Everything that happened to the tenant's objects, newest first, in the shape that webhooks carry.
    """
    query = call.query
    start, end = query.created_at_start, query.created_at_end
    async with call.connection() as conn:
        page = await store.listed(
            conn, call.caller.tenant_id, query, types=query.type, subject=query.subject, start=start, end=end
        )
    return call.page(page.map(msgspec.Raw))


async def get_event(call: Call[None, None]) -> web.StreamResponse:
    """Get an event."""
    event_id = call.id("event_id")
    async with call.connection() as conn:
        payload = await store.payload(conn, call.caller.tenant_id, event_id)
    if payload is None:
        config = call.runtime.config
        assert isinstance(config, WebhooksConfig)
        raise EventNotFound(event_id=event_id, days=config.retention_days)
    return call.reply(msgspec.Raw(payload))


READ = "webhooks:read"
ROUTES = (
    Route("GET", "/v1/events", list_events, scope=READ, query=EventQuery, returns=LoggedEvent, many=True),
    Route("GET", "/v1/events/{event_id}", get_event, scope=READ, returns=LoggedEvent, refuses=(EventNotFound,)),
)
