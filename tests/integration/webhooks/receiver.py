"""A real HTTP server that gets webhooks and does with them what a test tells it to, path by path."""

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec
from standardwebhooks import Webhook

from shared import clock
from tests.harness import PATIENCE_SECONDS


class Post(msgspec.Struct, frozen=True):
    """A request that was received whole."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict[str, object]:
        """The body, if the public verifier of Standard Webhooks accepts it."""
        found: dict[str, object] = Webhook(secret).verify(self.body, self.headers)
        return found


Behaviour = Callable[[Post, asyncio.StreamWriter], Awaitable[None]]


def respond(
    status: int = 200, body: bytes = b"ok", *, headers: Mapping[str, str] | None = None, delay_seconds: float = 0
) -> Behaviour:
    async def behave(_: Post, writer: asyncio.StreamWriter) -> None:
        if delay_seconds:
            await asyncio.sleep(delay_seconds)
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return behave


def redirect(location: str, status: int = 302) -> Behaviour:
    return respond(status, b"", headers={"Location": location})


async def hang(_: Post, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await writer.wait_closed()


async def hang_in_the_body(_: Post, writer: asyncio.StreamWriter) -> None:
    """Say 200 and half of the body, and then nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
    await writer.wait_closed()


async def slow_loris(_: Post, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, so that no single wait is ever long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


async def reset(_: Post, writer: asyncio.StreamWriter) -> None:
    """Break the connection with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close_silently(_: Post, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def close_in_the_body(_: Post, writer: asyncio.StreamWriter) -> None:
    """Promise more than what is sent."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    writer.close()


async def babble(_: Post, writer: asyncio.StreamWriter) -> None:
    """Answer something that is not HTTP."""
    writer.write(b"\x00\x01 no such protocol\r\n\r\n")
    writer.close()


def huge(megabytes: int, status: int = 200) -> Behaviour:
    """Answer with a body that nobody asked for."""

    async def behave(_: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} OK\r\nContent-Length: {megabytes << 20}\r\n\r\n".encode())
        with suppress(ConnectionError):
            for _chunk in range(megabytes * 16):
                writer.write(b"y" * 65536)
                await writer.drain()

    return behave


class Receiver:
    """What was received, and how to behave. Each behaviour of a path is used once, the last one from then on."""

    def __init__(self) -> None:
        self.port = 0
        self.scheme = "http"
        self.posts: list[Post] = []
        self.connections = 0
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._changed = asyncio.Condition()

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def behave(self, path: str, *behaviours: Behaviour) -> None:
        self._behaviours[path] = list(behaviours)

    def at(self, path: str) -> list[Post]:
        return [post for post in self.posts if post.path == path]

    def per_event(self) -> Counter[str]:
        return Counter(post.event_id for post in self.posts)

    async def wait_for(self, done: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until what was received fulfils a condition."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(done)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    post = await _read(reader)
                    async with self._changed:
                        self.posts.append(post)
                        self._changed.notify_all()
                    await self._next(post.path)(post, writer)
        finally:
            writer.close()

    def _next(self, path: str) -> Behaviour:
        behaviours = self._behaviours.get(path)
        if not behaviours:
            return respond()
        return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]


async def _read(reader: asyncio.StreamReader) -> Post:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Post(first.split(" ")[1], headers, body, clock.now().timestamp())


@asynccontextmanager
async def receiving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port, gone with all its connections when the block ends."""
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with suppress(asyncio.CancelledError):
            await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "https" if tls else "http"
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
