"""What a handler gets: the caller, the decoded request, a transaction, and ways to answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from aiohttp import web

from shared import clock
from shared.db import Conn
from shared.errors import FieldError, InvalidQuery, PreconditionFailed
from shared.http import idempotency
from shared.http.bodies import enc_hook
from shared.http.pages import Page
from shared.identity.callers import Caller

if TYPE_CHECKING:
    from shared.app import Runtime

B = TypeVar("B")
Q = TypeVar("Q")

JSON = "application/json"
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=enc_hook)


def encode(data: object) -> bytes:
    """JSON of an answer; Decimals become numbers."""
    return _encoder.encode(data)


class Replay(Exception):
    """The request was answered before; this is that answer."""

    def __init__(self, answer: idempotency.Answer) -> None:
        super().__init__()
        self.answer = answer


class Call(Generic[B, Q]):
    """One request on its way through a handler."""

    __slots__ = (
        "_answer",
        "_begun",
        "_caller",
        "attempt",
        "body",
        "committed",
        "now",
        "query",
        "raw",
        "request",
        "runtime",
        "service",
    )

    def __init__(self, request: web.Request, runtime: "Runtime") -> None:
        self.request = request
        self.runtime = runtime
        self.now: datetime = clock.now()
        self.raw = b""
        self.body: B
        self.query: Q
        self.service: str | None = None
        """The service that calls, on internal routes."""
        self.attempt: idempotency.Attempt | None = None
        """Set when the caller sent an Idempotency-Key."""
        self.committed = False
        """Whether a transaction of this call has committed: from then on it is not repeated after a deadlock."""
        self._caller: Caller | None = None
        self._answer: idempotency.Answer | None = None
        self._begun = False

    @property
    def caller(self) -> Caller:
        """Who calls."""
        assert self._caller is not None, "a public or internal route has no caller"
        return self._caller

    @caller.setter
    def caller(self, caller: Caller) -> None:
        self._caller = caller

    def today(self) -> date:
        """Today in the tenant's time zone."""
        return clock.today(self.caller.timezone, at=self.now)

    def id(self, name: str) -> UUID:
        """A path parameter that must be a UUID; raises InvalidQuery."""
        try:
            return UUID(self.path(name))
        except ValueError:
            raise InvalidQuery([FieldError(field=name, message="must be a UUID")]) from None

    def path(self, name: str) -> str:
        """A path parameter as text."""
        return self.request.match_info[name]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Conn]:
        """A connection for reading."""
        async with self.runtime.database.connection() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Conn]:
        """A transaction that also keeps the answer where the caller sent an Idempotency-Key.

        So the reply is made inside the block. A call with several transactions makes one in the first, too: it is the
        answer that a retry gets after a crash in between; a later one replaces it.
        """
        async with self.runtime.database.transaction() as conn:
            await self._begin(conn)
            yield conn
            await self._finish(conn)
        self.committed = True

    async def _begin(self, conn: Conn) -> None:
        if self.attempt is not None and not self._begun:
            answer = await idempotency.begin(conn, self.attempt)
            if answer is not None:
                raise Replay(answer)
        self._begun = True

    async def _finish(self, conn: Conn) -> None:
        if self.attempt is not None:
            assert self._answer is not None, "the reply is made inside the transaction"
            await idempotency.finish(conn, self.attempt, self._answer)

    def reply(
        self, data: object, *, status: int = 200, version: int | None = None, extra: dict[str, object] | None = None
    ) -> web.Response:
        """`{"data": …}`, with further members beside it, and a strong ETag where a version is given."""
        return self.answer({"data": data, **(extra or {})}, status=status, version=version)

    def created(
        self, data: object, *, version: int | None = None, extra: dict[str, object] | None = None
    ) -> web.Response:
        """The reply to what made something new."""
        return self.reply(data, status=201, version=version, extra=extra)

    def page(self, page: Page[Any]) -> web.Response:
        """One piece of a list."""
        return self.answer({"data": page.rows, "pagination": page.pagination})

    def deleted(self, data: object | None = None) -> web.Response:
        """`{"success": true}`."""
        return self.answer({"success": True} if data is None else {"success": True, "data": data})

    def answer(self, members: dict[str, Any], *, status: int = 200, version: int | None = None) -> web.Response:
        """A JSON answer with members of its own."""
        body = encode(members)
        self._answer = idempotency.Answer(status=status, body=body)
        headers = {"ETag": etag(version)} if version is not None else None
        return web.Response(body=body, status=status, content_type=JSON, headers=headers)

    def check_if_match(self, version: int) -> None:
        """Raise PreconditionFailed when the caller's If-Match names another version (RFC 9110, 13.1.1)."""
        wanted = self.request.headers.get("If-Match")
        if wanted is not None and wanted.strip() != "*" and etag(version) not in [w.strip() for w in wanted.split(",")]:
            raise PreconditionFailed(etag=etag(version))


def etag(version: int) -> str:
    """The strong ETag of an object's version."""
    return f'"{version}"'
