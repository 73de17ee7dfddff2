"""The gateway's own rules, with the real nginx before services that say what reached them."""

import asyncio
import io
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from services import catalog
from shared.processes import free_port
from shared.testing import gateway as nginx

MEBIBYTE = 1024 * 1024
NAME = web.AppKey("name", str)
LARGE = {"text": "long enough to be compressed " * 100}


class Answer(NamedTuple):
    """What a client got."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A client of the gateway."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self.base = base

    async def __call__(self, method: str, path: str, **kwargs: Any) -> Answer:
        """Send the path as it is written, without the tidying up that clients do."""
        async with self._session.request(method, URL(self.base + path, encoded=True), **kwargs) as response:
            return Answer(response.status, response.headers, await response.read())


async def say_what_came(request: web.Request) -> web.Response:
    body = await request.read()
    headers = {name.lower(): value for name, value in request.headers.items()}
    said = {"service": request.app[NAME], "headers": headers, "bytes": len(body), "path": request.raw_path}
    return web.json_response(said | (LARGE if "large" in request.query else {}), headers={"ETag": '"7"'})


@asynccontextmanager
async def a_service(name: str, port: int) -> AsyncIterator[None]:
    app = web.Application(client_max_size=200 * MEBIBYTE)
    app[NAME] = name
    app.router.add_route("*", "/{path:.*}", say_what_came)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def behind_gateway(*, without: str = "", **options: Any) -> AsyncIterator[Client]:
    ports = {name: free_port() for name in catalog.NAMES}
    async with AsyncExitStack() as stack:
        for name, port in ports.items():
            if name != without:
                await stack.enter_async_context(a_service(name, port))
        base = stack.enter_context(nginx.gateway(ports, **options))
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield Client(session, base)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with behind_gateway() as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/readyz",
        "/internal/applications",
        "/v1/customers/../../internal/applications",
        "/v1/customers/%2e%2e/%2e%2e/internal/applications",
        "/v1/customers/..%2f..%2finternal/applications",
        "//internal/applications",
        "/v1/customersx",
        "/V1/customers",
        "/dev/mail",
    ],
)
async def test_what_is_not_public_is_not_there(client: Client, path: str) -> None:
    answer = await client("GET", path)

    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/customers", "customers"),
        ("/v1/customers?search=a%20b", "customers"),
        ("/oauth/token", "customers"),
        ("/docs", "customers"),
        ("/v1/invoices", "invoices"),
        ("/v1/invoices/8d1/send", "invoices"),
        ("/v1/invoices/8d1/record-payment", "payments"),
        ("/v1/settings/invoicing", "invoices"),
        ("/v1/settings/matching", "payments"),
        ("/v1/settings/notifications", "notifier"),
        ("/v1/payments/8d1", "payments"),
        ("/v1/events", "webhooks"),
        ("/v1/templates", "notifier"),
    ],
)
async def test_each_path_reaches_its_service_as_it_was_sent(client: Client, path: str, service: str) -> None:
    answer = await client("GET", path)

    assert (answer.json["service"], answer.json["path"]) == (service, path)


async def test_a_request_id_is_made_or_kept_and_handed_on(client: Client) -> None:
    kept = await client("GET", "/v1/customers", headers={"X-Request-Id": "mine-1"})
    made = await client("GET", "/v1/customers", headers={"X-Request-Id": "no spaces allowed"})

    assert kept.json["headers"]["x-request-id"] == "mine-1"
    assert len(made.json["headers"]["x-request-id"]) == 32


async def test_a_refusal_of_the_gateway_carries_the_request_id(client: Client) -> None:
    answer = await client("GET", "/nowhere", headers={"X-Request-Id": "mine-1"})

    assert (answer.headers["X-Request-Id"], answer.json["request_id"]) == ("mine-1", "mine-1")


async def test_the_client_cannot_forge_its_address(client: Client) -> None:
    answer = await client("GET", "/v1/customers", headers={"X-Forwarded-For": "203.0.113.7"})

    assert answer.json["headers"]["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/v1/customers", MEBIBYTE, 200),
        ("/v1/customers", MEBIBYTE + 1, 413),
        ("/v1/invoices/bulk", 10 * MEBIBYTE, 200),
        ("/v1/invoices/bulk", 10 * MEBIBYTE + 1, 413),
        ("/v1/payments/import", 30 * MEBIBYTE, 200),
        ("/v1/payments/import", 100 * MEBIBYTE + 1, 413),
    ],
)
async def test_a_body_may_be_as_large_as_its_path_takes(client: Client, path: str, size: int, status: int) -> None:
    answer = await client("POST", path, data=io.BytesIO(b"x" * size), expect100=True)

    assert answer.status == status
    if status == 413:
        assert answer.json["code"] == "body_too_large"
    else:
        assert answer.json["bytes"] == size


async def test_large_answers_are_compressed_for_those_who_ask(client: Client) -> None:
    answer = await client("GET", "/v1/customers?large=1", headers={"Accept-Encoding": "gzip"})

    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert len(answer.body) < 1000


async def test_an_etag_that_compression_weakened_still_serves_if_match(client: Client) -> None:
    large = await client("GET", "/v1/customers?large=1", headers={"Accept-Encoding": "gzip"})
    etag = large.headers["ETag"]

    answer = await client("PATCH", "/v1/customers/1", headers={"If-Match": etag})

    assert etag == 'W/"7"'
    assert answer.json["headers"]["if-match"] == '"7"'


async def test_headers_that_are_too_long_are_refused(client: Client) -> None:
    answer = await client("GET", "/v1/customers", headers={"X-Long": "x" * 40_000})

    assert answer.status in (400, 431)


async def test_headers_that_come_too_slowly_are_given_up_while_others_are_served(client: Client) -> None:
    """Each byte in time, but the whole never: a connection is not held for longer than nginx.conf says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(client.base).port)
    writer.write(b"GET /v1/customers HTTP/1.1\r\nHost: x\r\nX-Slow: ")

    async def drip() -> None:
        while not reader.at_eof():
            writer.write(b"a")
            await asyncio.sleep(0.5)

    dripping = asyncio.create_task(drip())
    assert (await client("GET", "/v1/customers")).status == 200
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        dripping.cancel()
        writer.close()

    assert answer == b"" or b" 408 " in answer.splitlines()[0], answer


async def test_a_service_that_is_away_is_503_and_says_when_to_try_again() -> None:
    async with behind_gateway(without="invoices") as client:
        away = await client("POST", "/v1/invoices", data=b"{}")
        other = await client("GET", "/v1/customers")

    assert (away.status, away.json["code"], away.headers["Retry-After"]) == (503, "service_unavailable", "2")
    assert away.headers["Content-Type"] == "application/problem+json"
    assert other.status == 200


async def test_an_address_that_asks_too_often_is_slowed_down() -> None:
    values = {"rate=200r/s": "rate=1r/m"}
    async with behind_gateway(values=values) as client:
        answers = await asyncio.gather(*(client("GET", "/v1/customers") for _ in range(450)))

    statuses = Counter(answer.status for answer in answers)
    refused = next(answer for answer in answers if answer.status == 429)
    assert statuses[429] >= 40
    assert (refused.json["code"], refused.headers["Retry-After"]) == ("too_many_requests", "1")


def test_the_tls_settings_are_modern() -> None:
    text = (nginx.FILES / "tls.conf").read_text()

    assert "ssl_protocols TLSv1.2 TLSv1.3;" in text
    context = ssl.create_default_context()
    ciphers = text.split("ssl_ciphers ")[1].split(";")[0].split(":")
    context.set_ciphers(":".join(ciphers))  # OpenSSL knows them all
    assert all("ECDHE" in cipher for cipher in ciphers)
