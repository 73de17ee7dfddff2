"""Endpoints, their health and their counts: rows and SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.webhooks.endpoints.health import Health
from services.webhooks.endpoints.model import Endpoint
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.ids import uuid7

Key = tuple[UUID, UUID]
"""Tenant and endpoint."""

SORTS = {
    "created_at": Sort("e.created_at", datetime),
    "url": Sort("e.url", str),
}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with how it does and what it did in the last 24 hours."""

    endpoint: Endpoint
    health: Health
    delivered: int
    failed: int


SEE = """
    select e.*, h.failures, h.failing_since, h.last_success_at, h.open_until, h.cooldown_seconds, h.paused_until,
        t.delivered, t.failed
    from endpoints e
    left join health h on h.tenant_id = e.tenant_id and h.endpoint_id = e.id
    cross join lateral (
        select coalesce(sum(a.delivered), 0)::bigint as delivered, coalesce(sum(a.failed), 0)::bigint as failed
        from tallies a
        where a.tenant_id = e.tenant_id and a.endpoint_id = e.id and a.hour > now() - interval '24 hours'
    ) t
"""


async def insert(conn: Conn, endpoint: Endpoint) -> None:
    """A new endpoint."""
    await conn.execute(
        """
        insert into endpoints (tenant_id, id, version, url, events, description, is_active, ordered,
            rate_limit_per_second, timeout_seconds, secret, headers, header_names, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """,
        *(endpoint.tenant_id, endpoint.id, endpoint.version, endpoint.url, endpoint.events, endpoint.description),
        *(endpoint.is_active, endpoint.ordered, endpoint.rate_limit_per_second, endpoint.timeout_seconds),
        *(endpoint.secret, endpoint.headers, endpoint.header_names, endpoint.created_at, endpoint.updated_at),
    )
    await _subscriptions_changed(conn, endpoint.tenant_id)


async def save(conn: Conn, endpoint: Endpoint) -> None:
    """What may change of an endpoint; dispatchers see the new version with their next claim."""
    await conn.execute(
        """
        update endpoints set version = $3, url = $4, events = $5, description = $6, is_active = $7, ordered = $8,
            rate_limit_per_second = $9, timeout_seconds = $10, secret = $11, previous_secret = $12,
            previous_secret_until = $13, headers = $14, header_names = $15, disabled_at = $16, disabled_reason = $17,
            updated_at = $18
        where tenant_id = $1 and id = $2
        """,
        *(endpoint.tenant_id, endpoint.id, endpoint.version, endpoint.url, endpoint.events, endpoint.description),
        *(endpoint.is_active, endpoint.ordered, endpoint.rate_limit_per_second, endpoint.timeout_seconds),
        *(endpoint.secret, endpoint.previous_secret, endpoint.previous_secret_until, endpoint.headers),
        *(endpoint.header_names, endpoint.disabled_at, endpoint.disabled_reason, endpoint.updated_at),
    )
    await _subscriptions_changed(conn, endpoint.tenant_id)


async def delete(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> None:
    """Remove an endpoint; its history goes with it (trigger `endpoints_forgotten`)."""
    await conn.execute("delete from endpoints where tenant_id = $1 and id = $2", tenant_id, endpoint_id)
    await _subscriptions_changed(conn, tenant_id)


async def _subscriptions_changed(conn: Conn, tenant_id: UUID) -> None:
    await conn.execute(
        """
        insert into subscription_versions values ($1, $2)
        on conflict (tenant_id) do update set version = excluded.version
        """,
        tenant_id,
        uuid7(),
    )


async def lock(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> Endpoint | None:
    """One endpoint, held until the transaction ends."""
    row = await conn.fetchrow(
        "select * from endpoints where tenant_id = $1 and id = $2 for no key update", tenant_id, endpoint_id
    )
    return _endpoint(row) if row else None


async def see(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> Seen | None:
    """One endpoint with its health and counts."""
    row = await conn.fetchrow(f"{SEE} where e.tenant_id = $1 and e.id = $2", tenant_id, endpoint_id)
    return _seen(row) if row else None


async def listed(conn: Conn, tenant_id: UUID, query: PageQuery) -> Page[Seen]:
    """A tenant's endpoints."""
    page = await pages.fetch(conn, SEE, Where("e.tenant_id", tenant_id), query, sorts=SORTS, id_expression="e.id")
    return page.map(_seen)


async def count(conn: Conn, tenant_id: UUID) -> int:
    """How many endpoints a tenant has, counted so that two creations cannot both be the last allowed."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(tenant_id))
    return int(await conn.fetchval("select count(*) from endpoints where tenant_id = $1", tenant_id))


async def versions(conn: Conn, tenant_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The present version of each tenant's subscriptions; a tenant that never had an endpoint has none."""
    rows = await conn.fetch("select * from subscription_versions where tenant_id = any($1::uuid[])", tenant_ids)
    return {row["tenant_id"]: row["version"] for row in rows}


async def active(conn: Conn, tenant_ids: Sequence[UUID]) -> list[Endpoint]:
    """The endpoints of tenants that events go to."""
    rows = await conn.fetch("select * from endpoints where tenant_id = any($1::uuid[]) and is_active", tenant_ids)
    return [_endpoint(row) for row in rows]


async def by_keys(conn: Conn, keys: Sequence[Key]) -> list[Endpoint]:
    """Several endpoints of several tenants."""
    rows = await conn.fetch(
        """
        select e.* from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id) join endpoints e using (tenant_id, id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return [_endpoint(row) for row in rows]


async def all_locked(conn: Conn, after: Key, limit: int) -> list[Endpoint]:
    """Endpoints of all tenants in the order of their keys, held: for what goes through all of them."""
    rows = await conn.fetch(
        """
        select * from endpoints where (tenant_id, id) > ($1, $2)
        order by tenant_id, id limit $3 for no key update
        """,
        *after,
        limit,
    )
    return [_endpoint(row) for row in rows]


async def lock_health(conn: Conn, keys: Sequence[Key]) -> dict[Key, Health]:
    """The health of endpoints, held; locked in one order so that two dispatchers cannot block each other."""
    rows = await conn.fetch(
        """
        select h.* from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, endpoint_id)
        join health h using (tenant_id, endpoint_id) order by h.tenant_id, h.endpoint_id for update of h
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["tenant_id"], row["endpoint_id"]): health_of(row) for row in rows}


async def save_health(conn: Conn, found: Mapping[Key, Health]) -> None:
    """The health of endpoints after more attempts."""
    ordered = sorted(found.items())
    await conn.execute(
        """
        insert into health select k.* from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[],
            $5::timestamptz[], $6::timestamptz[], $7::integer[], $8::timestamptz[])
            as k (tenant_id, endpoint_id, failures, failing_since, last_success_at, open_until, cooldown_seconds,
                paused_until)
        where exists (select from endpoints e where e.tenant_id = k.tenant_id and e.id = k.endpoint_id)
        on conflict (tenant_id, endpoint_id) do update set failures = excluded.failures,
            failing_since = excluded.failing_since, last_success_at = excluded.last_success_at,
            open_until = excluded.open_until, cooldown_seconds = excluded.cooldown_seconds,
            paused_until = excluded.paused_until
        """,
        [key[0] for key, _ in ordered],
        [key[1] for key, _ in ordered],
        [health.failures for _, health in ordered],
        [health.failing_since for _, health in ordered],
        [health.last_success_at for _, health in ordered],
        [health.open_until for _, health in ordered],
        [health.cooldown_seconds for _, health in ordered],
        [health.paused_until for _, health in ordered],
    )


async def forget_health(conn: Conn, tenant_id: UUID, endpoint_id: UUID) -> None:
    """Start afresh."""
    await conn.execute("delete from health where tenant_id = $1 and endpoint_id = $2", tenant_id, endpoint_id)


async def open_circuits(conn: Conn) -> int:
    """How many breakers are open now."""
    return int(await conn.fetchval("select count(*) from health where open_until > now()"))


def health_of(row: asyncpg.Record) -> Health:
    """The health in a row that is joined with it, maybe without any."""
    if row["failures"] is None:
        return Health()
    return Health(
        failures=row["failures"],
        failing_since=row["failing_since"],
        last_success_at=row["last_success_at"],
        open_until=row["open_until"],
        cooldown_seconds=row["cooldown_seconds"],
        paused_until=row["paused_until"],
    )


def _endpoint(row: asyncpg.Record) -> Endpoint:
    return msgspec.convert(row, Endpoint)


def _seen(row: asyncpg.Record) -> Seen:
    return Seen(endpoint=_endpoint(row), health=health_of(row), delivered=row["delivered"], failed=row["failed"])
