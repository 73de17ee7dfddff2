"""An HTTP client that is not the bottleneck: prepared bytes over kept connections, one request at a time on each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

Request = Callable[[int], bytes]
"""The bytes of the n-th request."""
PATIENCE_SECONDS = 30.0
"""An answer that takes longer fails the run."""


@dataclass
class Load:
    """What came of it."""

    answers: int
    seconds: float
    latencies: list[float]
    bad: int

    @property
    def per_second(self) -> float:
        """Good answers per second."""
        return self.answers / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that this share of the answers stayed under."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def request(method: str, path: str, *, key: str = "", body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of a request."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{authorization}{headers}{length}\r\n".encode() + body


async def drive(base_url: str, make: Request, *, connections: int, seconds: float) -> Load:
    """Send requests for a while and count the answers with a status of 2xx."""
    parts = urlsplit(base_url)
    host, port = cast("str", parts.hostname), cast("int", parts.port)
    state = _State(make, time.perf_counter() + seconds)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    lines = [(await loop.create_connection(lambda: _Line(state), host, port))[1] for _ in range(connections)]
    async with asyncio.timeout(seconds + PATIENCE_SECONDS):
        await asyncio.gather(*(line.done for line in lines))
    return Load(state.good, time.perf_counter() - started, state.latencies, state.bad)


class _State:
    def __init__(self, make: Request, deadline: float) -> None:
        self.make = make
        self.deadline = deadline
        self.sent = 0
        self.good = 0
        self.bad = 0
        self.latencies: list[float] = []


class _Line(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._buffer = b""
        self._sent_at = 0.0
        self._finished = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        if len(self._buffer) < head + 4 + _size(self._buffer[:head]):
            return
        self._state.latencies.append(time.perf_counter() - self._sent_at)
        if self._buffer[9:10] == b"2":
            self._state.good += 1
        else:
            self._state.bad += 1
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._finished:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc or ConnectionError("The server closed a connection while it was in use."))

    def _next(self) -> None:
        now = time.perf_counter()
        if now >= self._state.deadline:
            self._finished = True
            self._transport.close()
            return
        self._sent_at = now
        self._transport.write(self._state.make(self._state.sent))
        self._state.sent += 1


def _size(head: bytes) -> int:
    """How long the body is: every server measured here says so."""
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0])
