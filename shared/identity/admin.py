"""What the operator does to tenants, keys and clients. Only these functions write the identity schema."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.clock import now
from shared.db import Conn
from shared.identity import keys
from shared.ids import uuid7

Owner = Conn


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an API key, the key itself not among it."""

    tenant_id: UUID
    key_id: UUID
    hint: str
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


class TenantInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    tenant_id: UUID
    name: str
    live: bool
    tier: str
    timezone: str
    currency: str
    email: str | None
    created_at: datetime


async def create_tenant(
    conn: Owner, *, name: str, live: bool, tier: str, timezone: str, currency: str, email: str | None = None
) -> UUID:
    """Make a tenant; returns its id."""
    tenant_id = uuid7()
    await conn.execute(
        "insert into identity.tenants (tenant_id, name, live, tier, timezone, currency, email, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant_id,
        name,
        live,
        tier,
        timezone,
        currency,
        email,
        now(),
    )
    return tenant_id


async def list_tenants(conn: Owner) -> list[TenantInfo]:
    """All tenants, oldest first."""
    rows = await conn.fetch("select * from identity.tenants order by created_at, tenant_id")
    return [msgspec.convert(row, TenantInfo) for row in rows]


async def create_key(conn: Owner, tenant_id: UUID, *, name: str, scopes: Sequence[str]) -> str | None:
    """Make an API key and return it, for the only time; None when there is no such tenant."""
    live = await conn.fetchval("select live from identity.tenants where tenant_id = $1", tenant_id)
    if live is None:
        return None
    key = keys.new_key(live=live)
    await conn.execute(
        "insert into identity.api_keys (tenant_id, key_id, key_hash, hint, name, scopes, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        tenant_id,
        uuid7(),
        keys.hashed(key),
        keys.hint(key),
        name,
        list(scopes),
        now(),
    )
    return key


async def list_keys(conn: Owner, tenant_id: UUID | None = None) -> list[KeyInfo]:
    """The keys of a tenant, or all keys, oldest first."""
    rows = await conn.fetch(
        "select tenant_id, key_id, hint, name, scopes, created_at, revoked_at from identity.api_keys"
        " where $1::uuid is null or tenant_id = $1 order by created_at, key_id",
        tenant_id,
    )
    return [msgspec.convert(row, KeyInfo) for row in rows]


async def revoke_key(conn: Owner, key_id: UUID) -> bool:
    """Make a key worthless; services notice within ten seconds. False when there is none, or it is revoked already."""
    status = await conn.execute(
        "update identity.api_keys set revoked_at = $2 where key_id = $1 and revoked_at is null", key_id, now()
    )
    return bool(status == "UPDATE 1")


async def create_client(conn: Owner, tenant_id: UUID, *, name: str, scopes: Sequence[str]) -> tuple[str, str] | None:
    """Make an OAuth client; returns its id and, for the only time, its secret. None when there is no such tenant."""
    if not await conn.fetchval("select true from identity.tenants where tenant_id = $1", tenant_id):
        return None
    client_id, secret = f"arc_{uuid7().hex}", keys.new_secret()
    await conn.execute(
        "insert into identity.oauth_clients (tenant_id, client_id, secret_hash, name, scopes, created_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        tenant_id,
        client_id,
        keys.hashed(secret),
        name,
        list(scopes),
        now(),
    )
    return client_id, secret


async def revoke_client(conn: Owner, client_id: str) -> bool:
    """Make a client and all its access tokens worthless. False when there is none, or it is revoked already."""
    status = await conn.execute(
        "update identity.oauth_clients set revoked_at = $2 where client_id = $1 and revoked_at is null",
        client_id,
        now(),
    )
    return bool(status == "UPDATE 1")
