"""Retry safety of POST: the same key and body get the first answer again (docs/api.md, retry safety).

The answer is stored in the transaction that does the work, so it is there exactly when the work is, across crashes.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec

from shared.db import Conn
from shared.errors import BadRequest, Conflict, Invalid
from shared.identity.callers import Caller

HEADER = "Idempotency-Key"
KEPT_HOURS = 24


class IdempotencyKeyInvalid(BadRequest, code="idempotency_key_invalid"):
    """The Idempotency-Key must have 1 to 255 visible characters."""


class IdempotencyKeyReused(Invalid, code="idempotency_key_reused"):
    """This Idempotency-Key was used before with another body."""


class RequestInProgress(Conflict, code="request_in_progress"):
    """The first request with this Idempotency-Key is still running."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request with an Idempotency-Key. A key counts per tenant, method and path."""

    caller: Caller
    route: str
    key: str
    fingerprint: bytes


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered the first time."""

    status: int
    body: bytes


class Running:
    """The keys that this process is working on, for statements that do the work of several requests.

    Two of one key in one statement would not see each other's lock, since it is the same transaction's.
    """

    def __init__(self) -> None:
        self._keys: set[tuple[UUID, str, str]] = set()

    @contextmanager
    def alone(self, made: Attempt | None) -> Iterator[bool]:
        """Whether no other request of this key is being worked on here; true without a key."""
        if made is None:
            yield True
            return
        key = (made.caller.tenant_id, made.route, made.key)
        if key in self._keys:
            yield False
            return
        self._keys.add(key)
        try:
            yield True
        finally:
            self._keys.discard(key)


def attempt(caller: Caller, route: str, key: str, body: bytes) -> Attempt:
    """The attempt that a request makes; raises IdempotencyKeyInvalid."""
    if not 1 <= len(key) <= 255 or not key.isprintable() or not key.isascii():
        raise IdempotencyKeyInvalid
    return Attempt(caller=caller, route=route, key=key, fingerprint=hashlib.sha256(body).digest())


async def begin(conn: Conn, made: Attempt) -> Answer | None:
    """The first answer where there is one; raises when the key belongs to another body or to a running request."""
    tenant_id = made.caller.tenant_id
    locked = await conn.fetchval(
        "select pg_try_advisory_xact_lock(hashtextextended($1, 0))", f"{tenant_id}|{made.route}|{made.key}"
    )
    if not locked:
        raise RequestInProgress
    row = await conn.fetchrow(
        "select fingerprint, status, body from idempotency_keys"
        " where tenant_id = $1 and route = $2 and key = $3 and created_at > now() - make_interval(hours => $4)",
        tenant_id,
        made.route,
        made.key,
        KEPT_HOURS,
    )
    if row is None:
        return None
    if row["fingerprint"] != made.fingerprint:
        raise IdempotencyKeyReused
    return Answer(status=row["status"], body=row["body"])


async def finish(conn: Conn, made: Attempt, answer: Answer) -> None:
    """Keep the answer, in the transaction that did the work."""
    await conn.execute(
        "insert into idempotency_keys (tenant_id, route, key, fingerprint, status, body)"
        " values ($1, $2, $3, $4, $5, $6)"
        " on conflict (tenant_id, route, key) do update set fingerprint = excluded.fingerprint,"
        " status = excluded.status, body = excluded.body, created_at = now()",
        made.caller.tenant_id,
        made.route,
        made.key,
        made.fingerprint,
        answer.status,
        answer.body,
    )


async def forget_old(conn: Conn) -> None:
    """Remove what is older than the promise."""
    await conn.execute(
        "delete from idempotency_keys where created_at <= now() - make_interval(hours => $1)", KEPT_HOURS
    )
