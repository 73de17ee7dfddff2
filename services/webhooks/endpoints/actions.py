"""What can be done with endpoints."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.webhooks.endpoints import events, store
from services.webhooks.endpoints.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from services.webhooks.endpoints.health import Health, circuit
from services.webhooks.endpoints.model import ENDPOINTS_PER_TENANT, ROTATION_OVERLAP, Endpoint
from services.webhooks.endpoints.secrets import Keyring, new_signing_secret, signing_key
from services.webhooks.endpoints.store import Seen
from shared import outbox
from shared.db import Conn

NOBODY = UUID(int=0)
RESEALED_AT_ONCE = 500


async def create(conn: Conn, endpoint: Endpoint) -> Endpoint:
    """Store a new endpoint."""
    if await store.count(conn, endpoint.tenant_id) >= ENDPOINTS_PER_TENANT:
        raise TooManyWebhooks(limit=ENDPOINTS_PER_TENANT)
    await store.insert(conn, endpoint)
    return endpoint


async def find(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> Seen:
    """One endpoint with its health and counts."""
    seen = await store.see(conn, tenant_id, endpoint_id)
    if seen is None:
        raise WebhookNotFound(webhook_id=endpoint_id)
    return seen


async def lock(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> Endpoint:
    """One endpoint, to be changed in this transaction."""
    endpoint = await store.lock(conn, tenant_id, endpoint_id)
    if endpoint is None:
        raise WebhookNotFound(webhook_id=endpoint_id)
    return endpoint


async def lock_active(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> Endpoint:
    """One endpoint that may be sent to."""
    endpoint = await lock(conn, tenant_id, endpoint_id)
    if not endpoint.is_active:
        raise WebhookDisabled
    return endpoint


async def change(conn: Conn, endpoint: Endpoint, changes: Mapping[str, object], *, now: datetime) -> Endpoint:
    """Store changed fields; switching an endpoint on again forgets what was wrong with it."""
    changed = msgspec.structs.replace(endpoint, **changes, version=endpoint.version + 1, updated_at=now)
    if changed.is_active and not endpoint.is_active:
        changed = msgspec.structs.replace(changed, disabled_at=None, disabled_reason=None)
        await store.forget_health(conn, endpoint.tenant_id, endpoint.id)
    await store.save(conn, changed)
    return changed


async def rotate_secret(conn: Conn, endpoint: Endpoint, keyring: Keyring, *, now: datetime) -> tuple[Endpoint, str]:
    """A new signing secret; the one before signs along for a day."""
    secret = new_signing_secret()
    changes = {
        "secret": keyring.seal(secret.encode(), endpoint.id.bytes),
        "previous_secret": endpoint.secret,
        "previous_secret_until": now + ROTATION_OVERLAP,
    }
    return await change(conn, endpoint, changes, now=now), secret


async def disable(
    conn: Conn, key: store.Key, health: Health, *, reason: Literal["gone", "failing"], now: datetime
) -> None:
    """Send nothing more to an endpoint and say so; nothing happens when it is off already, or deleted."""
    endpoint = await store.lock(conn, *key)
    if endpoint is None or not endpoint.is_active:
        return
    changes = {"is_active": False, "disabled_at": now, "disabled_reason": reason}
    changed = await change(conn, endpoint, changes, now=now)
    data = events.EndpointDisabled(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        disabled_at=now,
        disabled_reason=reason,
        failing_since=health.failing_since,
        last_success_at=health.last_success_at,
    )
    await outbox.put(conn, events.disabled(endpoint.tenant_id, changed.version, data))


async def reseal(conn: Conn, keyring: Keyring, after: store.Key) -> store.Key | None:
    """Encrypt the next endpoints' secrets under the current key; the last key seen, or None at the end."""
    found = await store.all_locked(conn, after, RESEALED_AT_ONCE)
    for endpoint in found:
        changes = _resealed(endpoint, keyring)
        if changes:
            await store.save(conn, msgspec.structs.replace(endpoint, **changes, version=endpoint.version + 1))
    return (found[-1].tenant_id, found[-1].id) if found else None


def _resealed(endpoint: Endpoint, keyring: Keyring) -> dict[str, bytes]:
    sealed = {"secret": endpoint.secret, "previous_secret": endpoint.previous_secret, "headers": endpoint.headers}
    return {
        name: keyring.reseal(value, endpoint.id.bytes)
        for name, value in sealed.items()
        if value is not None and not keyring.is_current(value)
    }


def seal_headers(headers: Mapping[str, str], keyring: Keyring, endpoint_id: UUID) -> dict[str, object]:
    """Custom headers as they are stored: the names readable, the values sealed."""
    sealed = keyring.seal(json.dumps(dict(headers)).encode(), endpoint_id.bytes) if headers else None
    return {"headers": sealed, "header_names": list(headers)}


def open_headers(endpoint: Endpoint, keyring: Keyring) -> dict[str, str]:
    """Custom headers as they are sent."""
    if endpoint.headers is None:
        return {}
    return msgspec.json.decode(keyring.open(endpoint.headers, endpoint.id.bytes), type=dict[str, str])


def signing_keys(endpoint: Endpoint, keyring: Keyring) -> tuple[bytes, bytes | None]:
    """The key that signs, and the one before it."""
    sealed = (endpoint.secret, endpoint.previous_secret)
    new, old = (
        signing_key(keyring.open(value, endpoint.id.bytes).decode()) if value is not None else None for value in sealed
    )
    assert new is not None
    return new, old


def webhook(seen: Seen, *, now: datetime) -> events.Webhook:
    """The public shape of an endpoint."""
    return msgspec.convert(_public(seen, now), events.Webhook)


def with_secret(seen: Seen, secret: str, *, now: datetime) -> events.WebhookWithSecret:
    """The public shape, this once with the secret."""
    return msgspec.convert({**_public(seen, now), "secret": secret}, events.WebhookWithSecret)


def _public(seen: Seen, now: datetime) -> dict[str, object]:
    total = seen.delivered + seen.failed
    return {
        **{name: getattr(seen.endpoint, name) for name in _SAME},
        "headers": dict.fromkeys(seen.endpoint.header_names, events.HIDDEN),
        "circuit": circuit(seen.health, now).value,
        "last_success_at": seen.health.last_success_at,
        "failing_since": seen.health.failing_since,
        "last_24_hours": events.Counts(
            delivered=seen.delivered,
            failed=seen.failed,
            success_rate=round(seen.delivered / total, 4) if total else None,
        ),
    }


_SAME = tuple(
    name for name in events.Webhook.__struct_fields__ if name in Endpoint.__struct_fields__ and name != "headers"
)
