"""Endpoints over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.webhooks.config import WebhooksConfig
from services.webhooks.endpoints import actions, addresses, events, model, store
from services.webhooks.endpoints.errors import TooManyWebhooks, UrlRefused, WebhookDisabled, WebhookNotFound
from services.webhooks.endpoints.events import Webhook, WebhookWithSecret
from services.webhooks.endpoints.model import Endpoint
from services.webhooks.endpoints.secrets import Keyring, new_signing_secret
from services.webhooks.endpoints.store import Seen
from shared import outbox
from shared.errors import InvalidFields
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import Route
from shared.ids import uuid7

Url = Annotated[str, Meta(min_length=1, max_length=addresses.MAX_URL_CHARACTERS, description="an https URL")]
Patterns = Annotated[
    list[Annotated[str, Meta(max_length=100)]],
    Meta(min_length=1, max_length=100, description="event types, patterns such as `invoice.*`, or `*`"),
]
Description = Annotated[str, Meta(max_length=500)]
Rate = Annotated[int, Meta(ge=1, le=1000, description="at most so many deliveries a second")]
Timeout = Annotated[int, Meta(ge=1, le=30, description="for connecting, sending and the answer together")]
Headers = dict[str, str]


class WebhookCreate(Body, frozen=True, kw_only=True):
    """A new endpoint."""

    url: Url
    events: Patterns = msgspec.field(default_factory=lambda: ["*"])
    description: Description | None = None
    is_active: bool = True
    ordered: bool = False
    rate_limit_per_second: Rate | None = None
    timeout_seconds: Timeout = 15
    headers: Headers | None = None


class WebhookPatch(Body, frozen=True, kw_only=True):
    """What to change of an endpoint."""

    url: Url | UnsetType = UNSET
    events: Patterns | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    ordered: bool | UnsetType = UNSET
    rate_limit_per_second: Rate | UnsetType | None = UNSET
    timeout_seconds: Timeout | UnsetType = UNSET
    headers: Headers | UnsetType | None = UNSET


class Queued(msgspec.Struct, frozen=True):
    """The answer to a test."""

    queued: bool


async def list_webhooks(call: Call[None, PageQuery]) -> web.StreamResponse:
    """List webhooks."""
    async with call.connection() as conn:
        page = await store.listed(conn, call.caller.tenant_id, call.query)
    return call.page(page.map(lambda seen: actions.webhook(seen, now=call.now)))


async def create_webhook(call: Call[WebhookCreate, None]) -> web.StreamResponse:
    """Create a webhook.

    The answer holds the signing secret, this once.
    """
    body = call.body
    _check_fields(body.events, body.headers)
    target = await addresses.check(body.url, allow_insecure=_config(call).allow_insecure)
    secret = new_signing_secret()
    async with call.transaction() as conn:
        endpoint = await actions.create(conn, _endpoint(call, target.url, secret))
        seen = await actions.find(conn, endpoint.tenant_id, endpoint.id)
        return call.created(actions.with_secret(seen, secret, now=call.now), version=endpoint.version)


async def get_webhook(call: Call[None, None]) -> web.StreamResponse:
    """Get a webhook."""
    async with call.connection() as conn:
        seen = await actions.find(conn, call.caller.tenant_id, call.id("webhook_id"))
    return _reply(call, seen)


async def update_webhook(call: Call[WebhookPatch, None]) -> web.StreamResponse:
    """Update a webhook.

    `is_active: true` switches a disabled one on again; what waits for it is due at once.
    """
    changes = msgspec.structs.asdict(call.body)
    changes = {name: value for name, value in changes.items() if value is not UNSET}
    _check_fields(changes.get("events"), changes.get("headers"))
    if "url" in changes:
        changes["url"] = (await addresses.check(changes["url"], allow_insecure=_config(call).allow_insecure)).url
    async with call.transaction() as conn:
        endpoint = await actions.lock(conn, call.caller.tenant_id, call.id("webhook_id"))
        call.check_if_match(endpoint.version)
        if "headers" in changes:
            changes |= actions.seal_headers(changes["headers"] or {}, call.runtime.use(Keyring), endpoint.id)
        await actions.change(conn, endpoint, changes, now=call.now)
        return _reply(call, await actions.find(conn, endpoint.tenant_id, endpoint.id))


async def delete_webhook(call: Call[None, None]) -> web.StreamResponse:
    """Delete a webhook and its history."""
    async with call.transaction() as conn:
        endpoint = await actions.lock(conn, call.caller.tenant_id, call.id("webhook_id"))
        call.check_if_match(endpoint.version)
        await store.delete(conn, endpoint.tenant_id, endpoint.id)
        return call.deleted()


async def test_webhook(call: Call[None, None]) -> web.StreamResponse:
    """Send a `webhook.test` event to this webhook."""
    async with call.transaction() as conn:
        endpoint = await actions.lock_active(conn, call.caller.tenant_id, call.id("webhook_id"))
        await outbox.put(conn, events.tested(endpoint.tenant_id, endpoint.id, endpoint.version))
        return call.answer({"queued": True})


async def rotate_secret(call: Call[None, None]) -> web.StreamResponse:
    """Make a new signing secret.

    The answer holds it, this once. For 24 hours deliveries carry the signatures of both.
    """
    async with call.transaction() as conn:
        endpoint = await actions.lock(conn, call.caller.tenant_id, call.id("webhook_id"))
        changed, secret = await actions.rotate_secret(conn, endpoint, call.runtime.use(Keyring), now=call.now)
        seen = await actions.find(conn, changed.tenant_id, changed.id)
        return call.reply(actions.with_secret(seen, secret, now=call.now), version=changed.version)


def _reply(call: Call[WebhookPatch, None] | Call[None, None], seen: Seen) -> web.Response:
    return call.reply(actions.webhook(seen, now=call.now), version=seen.endpoint.version)


def _config(call: Call[WebhookCreate, None] | Call[WebhookPatch, None]) -> WebhooksConfig:
    config = call.runtime.config
    assert isinstance(config, WebhooksConfig)
    return config


def _check_fields(patterns: list[str] | None, headers: Headers | None) -> None:
    errors = [*model.wrong_patterns(patterns or ()), *model.wrong_headers(headers or {})]
    if errors:
        raise InvalidFields(errors)


def _endpoint(call: Call[WebhookCreate, None], url: str, secret: str) -> Endpoint:
    body, keyring, endpoint_id = call.body, call.runtime.use(Keyring), uuid7()
    sealed = actions.seal_headers(body.headers or {}, keyring, endpoint_id)
    return msgspec.convert(
        {
            **_given(body),
            **_made(call.caller.tenant_id, endpoint_id, call.now),
            **sealed,
            "url": url,
            "secret": keyring.seal(secret.encode(), endpoint_id.bytes),
        },
        Endpoint,
    )


def _given(body: WebhookCreate) -> dict[str, object]:
    return msgspec.structs.asdict(body)


def _made(tenant_id: UUID, endpoint_id: UUID, now: datetime) -> dict[str, object]:
    return {"tenant_id": tenant_id, "id": endpoint_id, "version": 1, "created_at": now, "updated_at": now}


READ, WRITE = "webhooks:read", "webhooks:write"
ONE = "/v1/webhooks/{webhook_id}"
ROUTES = (
    Route("GET", "/v1/webhooks", list_webhooks, scope=READ, query=PageQuery, returns=Webhook, many=True),
    Route(
        "POST",
        "/v1/webhooks",
        create_webhook,
        scope=WRITE,
        body=WebhookCreate,
        returns=WebhookWithSecret,
        status=201,
        refuses=(UrlRefused, TooManyWebhooks),
    ),
    Route("GET", ONE, get_webhook, scope=READ, returns=Webhook, refuses=(WebhookNotFound,)),
    Route(
        "PATCH",
        ONE,
        update_webhook,
        scope=WRITE,
        body=WebhookPatch,
        returns=Webhook,
        refuses=(WebhookNotFound, UrlRefused),
    ),
    Route(
        "PUT",
        ONE,
        update_webhook,
        scope=WRITE,
        body=WebhookPatch,
        returns=Webhook,
        refuses=(WebhookNotFound, UrlRefused),
    ),
    Route("DELETE", ONE, delete_webhook, scope=WRITE, refuses=(WebhookNotFound,)),
    Route("POST", f"{ONE}/test", test_webhook, scope=WRITE, refuses=(WebhookNotFound, WebhookDisabled)),
    Route(
        "POST",
        f"{ONE}/rotate-secret",
        rotate_secret,
        scope=WRITE,
        returns=WebhookWithSecret,
        refuses=(WebhookNotFound,),
    ),
)
