"""Calls between services: short-lived signed tokens, one retry on a broken connection, refusals passed on."""

import time
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from shared import clock, tracing
from shared.errors import NotFound, Unavailable
from shared.http.bodies import decoder
from shared.http.calls import encode
from shared.identity import tokens

log = structlog.get_logger("http")
T = TypeVar("T")
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)


class ServiceAway(Unavailable, code="service_unavailable"):
    """The service {service} is away; try again shortly."""


class ServiceRefused(Exception):
    """Another service refused an internal call: our own bug, or a race that the caller knows how to handle."""

    def __init__(self, service: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{service} answered {status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class InternalClient:
    """One service's way to the others."""

    def __init__(self, caller: str, urls: dict[str, str], secret_key: str) -> None:
        self._caller = caller
        self._urls = urls
        self._secret_key = secret_key
        self._session: aiohttp.ClientSession | None = None

    async def get(self, service: str, path: str, kind: type[T], **parameters: object) -> T | None:
        """Ask for an object; None where the other service does not know it. Raises ServiceAway, ServiceRefused."""
        query = {name: str(value) for name, value in parameters.items()}
        try:
            raw = await self._request("GET", service, path, params=query)
        except NotFound:
            return None
        return decoder(kind).decode(raw)

    async def post(self, service: str, path: str, body: object, kind: type[T]) -> T:
        """Give an idempotent command. Raises ServiceAway, ServiceRefused."""
        raw = await self._request("POST", service, path, data=encode(body))
        return decoder(kind).decode(raw)

    async def download(self, service: str, path: str, **parameters: object) -> bytes | None:
        """Fetch bytes, such as a document; None where there are none."""
        try:
            return await self._request("GET", service, path, params={k: str(v) for k, v in parameters.items()})
        except NotFound:
            return None

    async def _request(self, method: str, service: str, path: str, **kwargs: Any) -> bytes:
        url = self._urls[service] + path
        parent, started, status = tracing.current.get(), time.perf_counter(), 0
        traceparent = tracing.child(parent)
        try:
            headers = self._headers(service, traceparent)
            async with self._open().request(method, url, headers=headers, **kwargs) as response:
                status = response.status
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServiceAway(service=service, retry_after_seconds=2) from error
        finally:
            tracing.record(
                f"{method} {service}",
                "client",
                self._caller,
                traceparent=traceparent,
                parent=parent,
                seconds=time.perf_counter() - started,
                failed=not status or status >= 500,
                attributes={"peer.service": service, "url.path": path, "http.response.status_code": status},
            )
        if response.status >= 400:
            raise self._problem(service, response.status, raw)
        return raw

    def _problem(self, service: str, status: int, raw: bytes) -> Exception:
        if status == 404:
            return NotFound()
        if status in (429, 502, 503, 504):
            return ServiceAway(service=service, retry_after_seconds=2)
        if status == 401:  # our token is good for a minute: it is no answer to what was asked
            log.error("a service does not take our token: do clocks or ARPILOT_SECRET_KEY differ?", service=service)
            return ServiceAway(service=service, retry_after_seconds=2)
        try:
            problem = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            problem = {}
        return ServiceRefused(service, status, str(problem.get("code", "")), str(problem.get("detail", "")))

    def _headers(self, service: str, traceparent: str) -> dict[str, str]:
        token = tokens.sign(
            self._secret_key,
            f"internal:{service}",
            {"sub": self._caller},
            now=clock.now(),
            seconds=tokens.INTERNAL_SECONDS,
        )
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "traceparent": traceparent}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
