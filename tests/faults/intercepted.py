"""A system in a process of its own that can be killed, with a go-between on the way from payments to invoices."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.harness import wait_for

COMMANDS = ("/internal/applications", "/internal/applications/reverse")
Happening = Callable[[], Awaitable[None]]


@dataclass
class GoBetween:
    """Passes internal calls on to the system; may be closed, and may do something before or after the next command."""

    target: str = ""
    closed: bool = False
    before_next: Happening | None = None
    after_next: Happening | None = None
    passed: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.closed:
            return web.Response(status=503)
        body = await request.read()
        if request.path in COMMANDS:
            before, self.before_next = self.before_next, None
            if before:
                await before()
                return web.Response(status=503)
        status, answer = await self._pass_on(request, body)
        if request.path in COMMANDS:
            self.passed.append(request.path)
            after, self.after_next = self.after_next, None
            if after:
                await after()
                return web.Response(status=503)
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _pass_on(self, request: web.Request, body: bytes) -> tuple[int, bytes]:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        async with aiohttp.request(
            request.method, self.target + request.path_qs, data=body, headers=headers
        ) as response:
            return response.status, await response.read()


@asynccontextmanager
async def go_between() -> AsyncIterator[tuple[GoBetween, str]]:
    """The go-between and its URL."""
    between = GoBetween()
    app = web.Application(client_max_size=20_000_000)
    app.router.add_route("*", "/{path:.*}", between.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    yield between, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Killable:
    """All services in one process that is killed and started again on the same database."""

    environ: Mapping[str, str]
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        names = ("customers", "invoices", "payments", "webhooks", "notifier")
        environ = {**os.environ, **self.environ, "ARPILOT_PORT": str(self.port)}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "run", *names, env=environ, stdout=asyncio.subprocess.DEVNULL
        )
        await wait_for(self._is_ready, seconds=30)

    async def _is_ready(self) -> bool:
        try:
            async with aiohttp.request("GET", f"{self.base_url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
