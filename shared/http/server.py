"""From a request to a handler and back: who calls, what they sent, and what every answer carries."""

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import msgspec
import structlog
from aiohttp import web
from multidict import MultiMapping
from prometheus_client import Histogram

from shared import clock, tracing
from shared.db import CONTENDED, EXHAUSTED, LOST, DatabaseAway, DatabaseBusy
from shared.errors import (
    BadRequest,
    FieldError,
    Forbidden,
    InvalidQuery,
    MethodNotAllowed,
    NotFound,
    Refusal,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
)
from shared.http import bodies, idempotency
from shared.http.calls import Call, Replay, encode
from shared.http.limits import RateLimiter, Verdict
from shared.http.routes import Route
from shared.identity import tokens
from shared.identity.callers import Caller
from shared.identity.tiers import WITH_API
from shared.ids import uuid7_text
from shared.logs import context
from shared.metrics import HTTP_IN_FLIGHT, HTTP_SECONDS, HTTP_SHED

if TYPE_CHECKING:
    from shared.app import Runtime

log = structlog.get_logger("http")

PROBLEM = "application/problem+json"
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_SURROGATE = re.compile("[\ud800-\udfff]")
BODY_SECONDS = 30.0
"""Longest that a client may take to send a body, so that slow senders hold nothing."""
REPEATS = 5
"""How often a request is repeated that lost against another in the database, before it is answered 503."""


class ScopeMissing(Forbidden, code="scope_missing"):
    """This key or client lacks the scope {scope}."""


class TierNotAllowed(Forbidden, code="tier_not_allowed"):
    """The API needs the tier pro or enterprise; this tenant has {tier}."""


class BodyTooSlow(BadRequest, code="body_too_slow"):
    """The body did not arrive in time."""

    status = 408
    title = "Request timeout"


class BodyBroken(BadRequest, code="body_broken"):
    """The body is not packed or cut into chunks as its headers say."""


class Overloaded(Unavailable, code="overloaded"):
    """Too many requests are being worked on; try again shortly."""


class ServerError(Refusal, code="server_error"):
    """Something went wrong on our side; the request id finds it in the logs."""

    status = 500
    title = "Internal server error"


class Server:
    """Serves the routes of one or several services in one process."""

    def __init__(self, *, secret_key: str, limiter: RateLimiter, max_requests: int) -> None:
        self._secret_key = secret_key
        self._limiter = limiter
        self._max_requests = max_requests
        self._in_flight = 0
        HTTP_IN_FLIGHT.set_function(lambda: self._in_flight)
        self.draining = False
        """On while the process stops: answers tell clients to use another connection, before this one is closed."""
        self.app = web.Application(middlewares=[self._outermost], client_max_size=0)

    def add(self, runtime: "Runtime", routes: tuple[Route, ...]) -> None:
        """Serve the routes of one service: short paths first, since aiohttp tries those that begin alike in turn."""
        for route in sorted(routes, key=lambda route: (route.path.count("/"), route.path)):
            self.app.router.add_route(route.method, route.path, self._bind(runtime, route))

    def _bind(self, runtime: "Runtime", route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        @functools.cache  # the look-up by labels would cost each request twice what counting costs
        def seconds_of(status: int) -> Histogram:
            return HTTP_SECONDS.labels(runtime.name, route.method, route.path, status)

        async def serve(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            response = await self._serve(request, runtime, route)
            seconds = time.perf_counter() - started
            seconds_of(response.status).observe(seconds)
            if tracing.recorder:
                _record(request, response, runtime.name, route, seconds)
            return response

        return serve

    @web.middleware
    async def _outermost(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Give every answer a request id, also those that no route gave; refuse what is too much."""
        request_id = _request_id(request)
        context.set({"request_id": request_id})
        self._in_flight += 1
        try:
            tracing.begin(request.headers.get("traceparent"))
            response = await self._shed_or(handler, request)
        except web.HTTPException as error:
            response = problem(_unrouted(error, request))
        finally:
            self._in_flight -= 1
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Server"] = "ARPilot"  # versions of what we run on are nobody's business
        if self.draining:
            response.force_close()
        return response

    async def _shed_or(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], request: web.Request
    ) -> web.StreamResponse:
        if self._in_flight > self._max_requests and request.path not in ("/healthz", "/readyz", "/metrics"):
            HTTP_SHED.inc()
            return problem(Overloaded(retry_after_seconds=1))
        return await handler(request)

    async def _serve(self, request: web.Request, runtime: "Runtime", route: Route) -> web.StreamResponse:
        call: Call[Any, Any] = Call(request, runtime)
        verdict: Verdict | None = None
        try:
            if route.scope is not None:
                call.caller = await self._caller(request, runtime)
                actor, tier = call.caller.actor, call.caller.tier
                verdict = self._limiter.take(actor, tier) if tier in WITH_API else None
                _authorize(call.caller, route.scope, verdict)
            elif route.internal:
                call.service = self._calling_service(request, runtime.name)
            await _decode(call, route)
            response = await _handle(call, route)
        except Replay as replay:
            response = web.Response(
                body=replay.answer.body, status=replay.answer.status, content_type="application/json"
            )
            response.headers["Idempotency-Replayed"] = "true"
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001  the edge: whatever happens becomes an answer
            response = problem(_refusal(error))
            log.info("refused", method=route.method, route=route.path, status=response.status)
        if verdict is not None and not response.prepared:
            _tell_limit(response, verdict)
        return response

    async def _caller(self, request: web.Request, runtime: "Runtime") -> Caller:
        caller = await runtime.callers.find(_bearer(request))
        context.get()["tenant"] = caller.tenant_id
        return caller

    def _calling_service(self, request: web.Request, service: str) -> str:
        claims = tokens.verify(self._secret_key, f"internal:{service}", _bearer(request), now=clock.now())
        if claims is None:
            raise Unauthorized
        return str(claims["sub"])


def _authorize(caller: Caller, scope: str, verdict: Verdict | None) -> None:
    if verdict is None:
        raise TierNotAllowed(tier=caller.tier)
    if scope not in caller.rights:
        raise ScopeMissing(scope=scope)
    if not verdict.allowed:
        raise TooMany(retry_after_seconds=1)


async def _decode(call: Call[Any, Any], route: Route) -> None:
    request = call.request
    if route.query is not None:
        call.query = bodies.decode_query(_parameters(request.query), route.query)
    if route.stream:
        return
    if route.body is not None or route.raw_body or request.can_read_body:
        call.raw = await _read(request, route.max_bytes)
    if route.body is not None:
        call.body = bodies.decode_body(call.raw or b"{}" if route.body_optional else call.raw, route.body)
    if route.method != "POST" or route.scope is None:
        return
    key = request.headers.get(idempotency.HEADER)
    if key is not None:
        place = f"{route.method} {request.path_qs}"
        call.attempt = idempotency.attempt(call.caller, place, key, call.raw)


async def _handle(call: Call[Any, Any], route: Route) -> web.StreamResponse:
    """Run the handler; what lost against another transaction before anything was committed is run again."""
    for repeat in range(REPEATS):
        try:
            return await route.handler(call)
        except CONTENDED:
            if call.committed:
                raise
            await asyncio.sleep(0.01 * 2**repeat)
    return await route.handler(call)


async def _read(request: web.Request, max_bytes: int) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise TooLarge(limit=max_bytes)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(limit=max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow from None
    return b"".join(chunks)


def _parameters(query: MultiMapping[str]) -> dict[str, str]:
    errors = [
        FieldError(field=name, message=message)
        for name in dict.fromkeys(query)
        if (message := _wrong_parameter(query.getall(name)))
    ]
    if errors:
        raise InvalidQuery(errors)
    return dict(query)


def _wrong_parameter(values: list[str]) -> str | None:
    if len(values) > 1:
        return "is given more than once"
    if "\x00" in values[0] or _SURROGATE.search(values[0]):
        return "is not valid UTF-8 text"
    return None


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    return token.strip()


def _record(request: web.Request, response: web.StreamResponse, service: str, route: Route, seconds: float) -> None:
    tracing.record(
        f"{route.method} {route.path}",
        "server",
        service,
        traceparent=tracing.current.get(),
        parent=request.headers.get("traceparent"),
        seconds=seconds,
        failed=response.status >= 500,
        attributes={
            "http.request.method": route.method,
            "http.route": route.path,
            "http.response.status_code": response.status,
            "arpilot.request_id": str(context.get().get("request_id", "")),
        },
    )


def _request_id(request: web.Request) -> str:
    sent = request.headers.get("X-Request-Id", "")
    return sent if sent and REQUEST_ID.fullmatch(sent) else uuid7_text()


def _unrouted(error: web.HTTPException, request: web.Request) -> Refusal:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(method=request.method)
    if isinstance(error, web.HTTPNotFound):
        return NotFound()
    refusal = BadRequest()
    refusal.detail = error.reason
    return refusal


def _refusal(error: Exception) -> Refusal:
    """What an exception means to the client; what is not a refusal is logged here, once."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, web.RequestPayloadError):
        return BodyBroken()
    if isinstance(error, CONTENDED):
        return DatabaseBusy(retry_after_seconds=1)
    if isinstance(error, EXHAUSTED):
        log.warning("database exhausted", error=str(error))
        return DatabaseBusy(retry_after_seconds=2)
    if isinstance(error, LOST) and not isinstance(error, asyncpg.DataError):
        log.warning("database away", error=str(error))
        return DatabaseAway(retry_after_seconds=2)
    log.error("request failed", exc_info=error)
    return ServerError()


class _Problem(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[FieldError] | None = None


def problem(refusal: Refusal) -> web.Response:
    """The answer to a refused request (RFC 9457)."""
    body = _Problem(
        type=f"urn:arpilot:problem:{refusal.code}",
        title=refusal.title,
        status=refusal.status,
        detail=refusal.detail,
        code=refusal.code,
        request_id=cast("str | None", context.get().get("request_id")),
        errors=list(refusal.errors) or None,
    )
    headers = {}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="arpilot"'
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    return web.Response(body=encode(body), status=refusal.status, content_type=PROBLEM, headers=headers)


def _tell_limit(response: web.StreamResponse, verdict: Verdict) -> None:
    response.headers["RateLimit-Limit"] = str(verdict.limit)
    response.headers["RateLimit-Remaining"] = str(verdict.remaining)
    response.headers["RateLimit-Reset"] = str(verdict.reset_seconds)
