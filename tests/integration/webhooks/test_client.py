"""The HTTP client against a real server that misbehaves in every way."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from services.webhooks.deliveries.client import BODY_CAP_BYTES, Client
from services.webhooks.deliveries.model import Answer, NoAnswer, Result
from tests.integration.webhooks import receiver as behaviours
from tests.integration.webhooks.receiver import Receiver, receiving, respond

HEADERS = ["content-type: application/json", "webhook-id: 1", "expect:"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client(allow_insecure=True)
    yield made
    made.close()


async def post(client: Client, url: str, *, seconds: float = 5.0, body: bytes = b"{}") -> Result:
    return await client.post(url, HEADERS, body, timeout_seconds=seconds)


def an_answer(result: Result) -> Answer:
    assert isinstance(result, Answer), result
    return result


def a_failure(result: Result) -> str:
    assert isinstance(result, NoAnswer), result
    return result.error


async def test_it_posts_the_very_bytes_and_headers_and_keeps_the_answer(client: Client, receiver: Receiver) -> None:
    receiver.behave("/hook", respond(201, b"thanks"))

    answer = an_answer(await post(client, receiver.url(), body=b'{"a": 1}'))

    assert (answer.status_code, answer.excerpt) == (201, b"thanks")
    assert receiver.posts[0].body == b'{"a": 1}'
    assert receiver.posts[0].headers["content-type"] == "application/json"
    assert "expect" not in receiver.posts[0].headers


async def test_a_connection_is_used_again(client: Client, receiver: Receiver) -> None:
    for _ in range(20):
        an_answer(await post(client, receiver.url()))

    assert receiver.connections == 1


async def test_many_posts_are_in_flight_at_once(client: Client, receiver: Receiver) -> None:
    receiver.behave("/hook", respond(delay_seconds=0.2))

    async with asyncio.timeout(5):
        results = await asyncio.gather(*(post(client, receiver.url()) for _ in range(100)))

    assert all(an_answer(result).status_code == 200 for result in results)


@pytest.mark.parametrize("status", [204, 301, 400, 404, 410, 429, 500, 503])
async def test_every_status_is_an_answer_and_redirects_are_not_followed(
    client: Client, receiver: Receiver, status: int
) -> None:
    body = b"" if status == 204 else b"x"
    receiver.behave("/hook", respond(status, body, headers={"Location": receiver.url("/elsewhere")}))

    assert an_answer(await post(client, receiver.url())).status_code == status
    assert not receiver.at("/elsewhere")


async def test_retry_after_is_read_as_seconds_or_as_a_date(client: Client, receiver: Receiver) -> None:
    receiver.behave(
        "/hook",
        respond(429, headers={"Retry-After": "120"}),
        respond(503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}),
        respond(429, headers={"Retry-After": "soon"}),
    )

    waits = [an_answer(await post(client, receiver.url())).retry_after_seconds for _ in range(3)]

    assert waits[0] == 120
    assert waits[1] > 3600
    assert waits[2] == 0


@pytest.mark.parametrize(
    "behaviour", [behaviours.hang, behaviours.hang_in_the_body, behaviours.slow_loris], ids=lambda it: it.__name__
)
async def test_one_deadline_covers_everything(
    client: Client, receiver: Receiver, behaviour: behaviours.Behaviour
) -> None:
    receiver.behave("/hook", behaviour)

    async with asyncio.timeout(5):
        result = await post(client, receiver.url(), seconds=0.4)

    assert "timed out" in a_failure(result)
    assert result.duration_ms >= 390


@pytest.mark.parametrize(
    "behaviour",
    [behaviours.reset, behaviours.close_silently, behaviours.close_in_the_body, behaviours.babble],
    ids=lambda it: it.__name__,
)
async def test_a_broken_answer_is_a_failure_with_a_reason(
    client: Client, receiver: Receiver, behaviour: behaviours.Behaviour
) -> None:
    receiver.behave("/hook", behaviour)

    assert a_failure(await post(client, receiver.url()))


async def test_a_body_of_ten_megabytes_is_read_no_further_than_the_cap(client: Client, receiver: Receiver) -> None:
    receiver.behave("/hook", behaviours.huge(10))

    answer = an_answer(await post(client, receiver.url()))

    assert answer.status_code == 200
    assert answer.excerpt == b"y" * 1024
    assert BODY_CAP_BYTES == 64 * 1024


async def test_a_refused_connection_and_an_unknown_name_are_failures(client: Client, receiver: Receiver) -> None:
    assert "could not connect" in a_failure(await post(client, "http://127.0.0.1:1/"))
    assert "does not resolve" in a_failure(await post(client, "http://no-such-name.invalid/"))


async def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = Client(allow_insecure=True)

    assert an_answer(await post(client, receiver.url())).status_code == 200
    client.close()


async def test_closing_breaks_off_what_is_in_flight(receiver: Receiver) -> None:
    receiver.behave("/hook", behaviours.hang)
    client = Client(allow_insecure=True)
    future = client.post(receiver.url(), HEADERS, b"{}", timeout_seconds=30)
    await receiver.wait_for(lambda: len(receiver.posts) == 1)

    client.close()

    assert future.cancelled()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_file_descriptor_is_lost(receiver: Receiver) -> None:
    receiver.behave("/reset", behaviours.reset)
    before = open_descriptors()
    client = Client(allow_insecure=True)
    for _ in range(30):
        await asyncio.gather(post(client, receiver.url()), post(client, receiver.url("/reset")))
    client.close()
    await asyncio.sleep(0.05)

    assert open_descriptors() <= before + 5


# Where it may connect


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_a_valid_certificate_is_accepted_and_tls_connections_are_kept(
    authority: trustme.CA, ca_file: str
) -> None:
    client = Client(allow_insecure=True, ca_file=ca_file)
    async with receiving(tls=server_context(authority, "localhost")) as receiver:
        for _ in range(5):
            an_answer(await post(client, receiver.url(host="localhost")))
        assert receiver.connections == 1
    client.close()


@pytest.mark.parametrize("name", ["other.example.com"])
async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, ca_file: str, name: str) -> None:
    client = Client(allow_insecure=True, ca_file=ca_file)
    async with receiving(tls=server_context(authority, name)) as receiver:
        assert "TLS" in a_failure(await post(client, receiver.url(host="localhost")))
        assert not receiver.posts
    client.close()


async def test_a_certificate_of_an_unknown_authority_is_refused(ca_file: str) -> None:
    client = Client(allow_insecure=True, ca_file=ca_file)
    async with receiving(tls=server_context(trustme.CA(), "localhost")) as receiver:
        assert "TLS" in a_failure(await post(client, receiver.url(host="localhost")))
    client.close()


async def test_a_server_that_speaks_no_tls_is_a_failure(receiver: Receiver, ca_file: str) -> None:
    client = Client(allow_insecure=True, ca_file=ca_file)

    assert a_failure(await post(client, f"https://127.0.0.1:{receiver.port}/"))
    client.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
async def test_a_private_address_is_refused_at_the_moment_of_connecting(
    authority: trustme.CA, ca_file: str, host: str
) -> None:
    client = Client(ca_file=ca_file)
    async with receiving(tls=server_context(authority, "localhost", "127.0.0.1")) as receiver:
        error = a_failure(await post(client, receiver.url(host=host)))
        assert "refused to connect" in error
        assert receiver.connections == 0
    client.close()


async def test_a_name_that_was_public_when_it_was_registered_and_leads_inside_now_is_refused(
    authority: trustme.CA, ca_file: str
) -> None:
    """DNS rebinding: each look-up may answer differently, so what counts is the address that is connected to."""
    async with receiving(tls=server_context(authority, "rebind.example.com")) as receiver:
        for inside in ("127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "64:ff9b::7f00:1"):
            client = Client(ca_file=ca_file, resolve=[f"rebind.example.com:{receiver.port}:{inside}"])
            error = a_failure(await post(client, receiver.url(host="rebind.example.com")))
            assert "refused to connect" in error
            client.close()
        assert receiver.connections == 0


async def test_among_the_addresses_of_a_name_only_public_ones_are_tried(authority: trustme.CA, ca_file: str) -> None:
    async with receiving(tls=server_context(authority, "mixed.example.com")) as receiver:
        client = Client(ca_file=ca_file, resolve=[f"mixed.example.com:{receiver.port}:127.0.0.1,10.0.0.1"])
        assert "refused to connect" in a_failure(await post(client, receiver.url(host="mixed.example.com")))
        assert receiver.connections == 0
        client.close()


async def test_http_is_refused_without_the_development_switch(receiver: Receiver) -> None:
    client = Client()

    assert "not allowed" in a_failure(await post(client, receiver.url()))
    assert not receiver.posts
    client.close()


def test_it_runs_on_the_plain_event_loop_and_on_uvloop(tmp_path: Path) -> None:
    import uvloop

    async def exchange() -> int:
        async with receiving() as receiver:
            client = Client(allow_insecure=True)
            results = await asyncio.gather(*(post(client, receiver.url()) for _ in range(50)))
            client.close()
        return sum(an_answer(result).status_code == 200 for result in results)

    for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(exchange()) == 50
