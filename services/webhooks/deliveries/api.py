"""Deliveries over HTTP."""

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from services.webhooks.deliveries import actions, store
from services.webhooks.deliveries.errors import DeliveryNotFound, ReplayBackwards, ReplayTooLarge
from services.webhooks.deliveries.events import Delivery
from services.webhooks.deliveries.model import Status
from services.webhooks.endpoints import actions as endpoints
from services.webhooks.endpoints.errors import WebhookDisabled, WebhookNotFound
from services.webhooks.endpoints.model import wrong_patterns
from shared.errors import InvalidFields
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import Route


class DeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of deliveries."""

    status: Annotated[list[Status], Meta(description="one or several, comma-separated")] | None = None
    event_type: Annotated[list[str], Meta(description="one or several types, comma-separated")] | None = None


Instant = Annotated[datetime, Meta(tz=True)]
Patterns = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=100)]


class Replay(Body, frozen=True, kw_only=True):
    """Which events to deliver again."""

    since: Instant
    until: Annotated[Instant, Meta(description="default: now")] | None = None
    events: Annotated[Patterns, Meta(description="types or patterns; default: those of the webhook")] | None = None
    failed_only: Annotated[bool, Meta(description="only what was given up")] = False


class Queued(msgspec.Struct, frozen=True):
    """How many deliveries were queued."""

    queued: int


async def list_deliveries(call: Call[None, DeliveryQuery]) -> web.StreamResponse:
    """List a webhook's deliveries, each with its attempts."""
    key = call.caller.tenant_id, call.id("webhook_id")
    async with call.connection() as conn:
        await endpoints.find(conn, *key)
        page = await store.listed(conn, key, call.query, statuses=call.query.status, types=call.query.event_type)
    return call.page(page.map(lambda row: msgspec.convert(row, Delivery)))


async def redeliver(call: Call[None, None]) -> web.StreamResponse:
    """Deliver one event again."""
    async with call.transaction() as conn:
        endpoint = await endpoints.lock_active(conn, call.caller.tenant_id, call.id("webhook_id"))
        queued = await actions.redeliver(conn, endpoint, call.id("delivery_id"), now=call.now)
        return call.answer({"queued": queued})


async def replay(call: Call[Replay, None]) -> web.StreamResponse:
    """Deliver the events of a range of time again.

    Also those that the webhook never got, because it was not there or not active.
    """
    body, end = call.body, call.body.until or call.now
    if errors := list(wrong_patterns(body.events or ())):
        raise InvalidFields(errors)
    if end <= body.since:
        raise ReplayBackwards(field="until")
    async with call.transaction() as conn:
        endpoint = await endpoints.lock_active(conn, call.caller.tenant_id, call.id("webhook_id"))
        patterns = body.events or endpoint.events
        queued = await actions.replay(
            conn, endpoint, start=body.since, end=end, patterns=patterns, failed_only=body.failed_only, now=call.now
        )
        return call.answer({"queued": queued})


ONE = "/v1/webhooks/{webhook_id}"
ROUTES = (
    Route(
        "GET",
        f"{ONE}/deliveries",
        list_deliveries,
        scope="webhooks:read",
        query=DeliveryQuery,
        returns=Delivery,
        many=True,
        refuses=(WebhookNotFound,),
    ),
    Route(
        "POST",
        f"{ONE}/deliveries/{{delivery_id}}/redeliver",
        redeliver,
        scope="webhooks:write",
        refuses=(WebhookNotFound, DeliveryNotFound, WebhookDisabled),
    ),
    Route(
        "POST",
        f"{ONE}/replay",
        replay,
        scope="webhooks:write",
        body=Replay,
        refuses=(WebhookNotFound, WebhookDisabled, ReplayTooLarge, ReplayBackwards),
    ),
)
