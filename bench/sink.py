"""A receiver of webhooks that is not the bottleneck: `python -m bench.sink PORT`, in a process of its own.

Whatever is posted below `/hang` is never answered. `GET /stats` says what has come since the last `GET /reset`.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
SENT_AT = re.compile(rb"sent at (\d+\.\d+)")
"""Set into a body by whoever wants to know how long it took until it was posted here."""


class Seen:
    """What has come."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0.0
        self.latencies: list[float] = []

    def note(self, body: bytes) -> None:
        """One more, now."""
        self.last = time.time()
        self.first = self.first or self.last
        self.count += 1
        if found := SENT_AT.search(body):
            self.latencies.append(self.last - float(found[1]))

    def stats(self) -> bytes:
        """As JSON."""
        return json.dumps(vars(self)).encode()


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self._buffer, 0, head)
            end = head + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < end:
                return
            self._handle(self._buffer[: head + 4], self._buffer[head + 4 : end])
            self._buffer = self._buffer[end:]

    def _handle(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /hang"):
            return
        if head.startswith(b"POST"):
            self._seen.note(body)
            self._transport.write(ANSWER)
            return
        stats = self._seen.stats()
        if head.startswith(b"GET /reset"):
            self._seen.__init__()  # type: ignore[misc]  # as new
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(stats), stats))


async def main(port: int) -> None:
    """Serve until killed."""
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(lambda: Sink(seen), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
