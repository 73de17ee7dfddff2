"""A TCP proxy that can hold back, slow down and cut what goes through it: the network between two parties."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

Address = tuple[str, int]
CHUNK_BYTES = 65_536
REMEMBERED_BYTES = 1 << 20


class Gate:
    """One direction of all lines of a proxy: open, slow, or shut, so that bytes neither arrive nor are refused."""

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self.held = bytearray()
        """What has come to the gate since it was shut, for tests to see what is being held back."""
        self._shuts_before: bytes | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._came = asyncio.Event()

    def shut(self) -> None:
        self.held.clear()
        self._came.clear()
        self._open.clear()

    def shut_before(self, words: bytes) -> None:
        """Shut as soon as these bytes come, and hold them back."""
        self._shuts_before = words

    def open(self) -> None:
        self._shuts_before = None
        self.delay_seconds = 0.0
        self._open.set()

    async def has_held(self, wanted: Callable[[bytes], bool], *, seconds: float) -> bool:
        """Whether such bytes came to the gate within this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not wanted(bytes(self.held)):
                    self._came.clear()
                    await self._came.wait()
                return True
        return False

    async def let(self, data: bytes) -> None:
        """Wait until these bytes may go on."""
        if self._shuts_before is not None and self._shuts_before in data:
            self.shut()
        if not self._open.is_set():
            self.held += data[: REMEMBERED_BYTES - len(self.held)]
            self._came.set()
            await self._open.wait()
        elif self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)


class Proxy:
    """Passes connections on to whichever of its targets answers, in turn."""

    def __init__(self, targets: Sequence[Address]) -> None:
        self.targets = targets
        self.port = 0
        self.up = Gate()
        self.down = Gate()
        self.refusing = False
        self._turn = count()
        self._lines: set[asyncio.Task[None]] = set()

    def shut(self) -> None:
        """Half-open: both sides believe in the connection, and nothing arrives any more."""
        self.up.shut()
        self.down.shut()

    def slow(self, delay_seconds: float) -> None:
        self.up.delay_seconds = self.down.delay_seconds = delay_seconds

    def cut(self) -> None:
        """End all connections in the middle, and refuse new ones."""
        self.refusing = True
        self.drop()

    def drop(self) -> None:
        """End all connections, with what is being held back."""
        for line in self._lines:
            line.cancel()

    def heal(self) -> None:
        self.refusing = False
        self.up.open()
        self.down.open()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            if not self.refusing:
                await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # a line that breaks is what this proxy is for
        finally:
            self._lines.discard(line)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._connect()
        try:
            up = asyncio.create_task(_pump(reader, far_writer, self.up))
            down = asyncio.create_task(_pump(far_reader, writer, self.down))
            try:
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                up.cancel()
                down.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
        finally:
            far_writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        first = next(self._turn)
        for turn in range(len(self.targets)):
            host, port = self.targets[(first + turn) % len(self.targets)]
            with suppress(OSError):
                return await asyncio.open_connection(host, port)
        raise ConnectionRefusedError


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: Gate) -> None:
    while data := await reader.read(CHUNK_BYTES):
        await gate.let(data)
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def proxying(*targets: Address) -> AsyncIterator[Proxy]:
    """A proxy on a port of its own; gone with all its connections when the block ends."""
    proxy = Proxy(targets)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.drop()
        await server.wait_closed()
