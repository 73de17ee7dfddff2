"""From a bearer token to the caller behind it, with a short cache.

A look-up per request would cost a quarter to a half of a small request, so what a token means is remembered for five
seconds: a revoked key is refused at the latest five seconds after.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import msgspec

from shared import clock
from shared.db import Conn, Database
from shared.errors import Unauthorized
from shared.identity import keys, scopes, tokens

CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: a tenant, by one of its keys or clients."""

    tenant_id: UUID
    tenant_name: str
    live: bool
    tier: str
    timezone: str
    currency: str
    actor: str
    """`key:<id>` or `client:<id>`, for audit trails and the rate limit."""
    rights: frozenset[str]


class InvalidToken(Unauthorized, code="invalid_token"):
    """This API key or access token is unknown, expired or revoked."""


class Callers:
    """Knows who is behind a token; one per service process."""

    def __init__(self, database: Database, secret_key: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._secret_key = secret_key
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, asyncio.Task[Caller | None]]] = {}

    async def find(self, token: str) -> Caller:
        """The caller behind a token; raises InvalidToken."""
        deadline, task = self._known.get(token, (0.0, None))
        if task is None or deadline < self._monotonic():
            task = self._remember(token)
        caller = task.result() if task.done() else await asyncio.shield(task)
        if caller is None:
            raise InvalidToken
        return caller

    def _remember(self, token: str) -> "asyncio.Task[Caller | None]":
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        task = asyncio.create_task(self._look_up(token))
        task.add_done_callback(lambda done: self._forget_failure(token, done))
        self._known[token] = (self._monotonic() + CACHE_SECONDS, task)
        return task

    def _forget_failure(self, token: str, task: "asyncio.Task[Caller | None]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._known.pop(token, None)

    async def _look_up(self, token: str) -> Caller | None:
        if token.startswith("ark_"):
            async with self._database.connection() as conn:
                return await _by_key(conn, token)
        claims = tokens.verify(self._secret_key, tokens.ACCESS, token, now=clock.now())
        if claims is None:
            return None
        async with self._database.connection() as conn:
            caller = await by_client(conn, str(claims.get("sub")))
        if caller is None:
            return None
        return msgspec.structs.replace(caller, rights=caller.rights & scopes.expand(str(claims["scope"]).split()))


_SELECT = "t.tenant_id, t.name as tenant_name, t.live, t.tier, t.timezone, t.currency"


async def _by_key(conn: Conn, token: str) -> Caller | None:
    row = await conn.fetchrow(
        f"select {_SELECT}, 'key:' || k.key_id as actor, k.scopes"
        " from identity.api_keys k join identity.tenants t using (tenant_id)"
        " where k.key_hash = $1 and k.revoked_at is null",
        keys.hashed(token),
    )
    return _caller(dict(row)) if row else None


async def by_client(conn: Conn, client_id: str, secret: str | None = None) -> Caller | None:
    """The caller behind an OAuth client, with its secret checked where one is given."""
    row = await conn.fetchrow(
        f"select {_SELECT}, 'client:' || c.client_id as actor, c.scopes"
        " from identity.oauth_clients c join identity.tenants t using (tenant_id)"
        " where c.client_id = $1 and c.revoked_at is null and ($2::bytea is null or c.secret_hash = $2)",
        client_id,
        keys.hashed(secret) if secret is not None else None,
    )
    return _caller(dict(row)) if row else None


def _caller(row: dict[str, object]) -> Caller:
    rights = scopes.expand(row.pop("scopes"))  # type: ignore[arg-type]  # text[]
    return Caller(**row, rights=rights)  # type: ignore[arg-type]  # columns named like the fields
