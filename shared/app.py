"""Wiring: what a service consists of, and how one or several of them run in one process."""

import asyncio
import os
import resource as limits
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from shared import bus as buses
from shared import db, housekeeping, migrate
from shared.bus import Bus
from shared.config import ServiceConfig, Settings, WrongSetting, load
from shared.db import Database
from shared.events import EventType
from shared.http import documents, health
from shared.http.client import InternalClient
from shared.http.limits import RateLimiter
from shared.http.routes import Route
from shared.http.server import Server
from shared.identity import oauth
from shared.identity.callers import Callers
from shared.inbox import Consumer, Subscription
from shared.jobs import Job, run_jobs
from shared.relay import Relay

log = structlog.get_logger("app")

SOCKETS = 10_240
T = TypeVar("T")

Resource = Callable[["Runtime"], AbstractAsyncContextManager[object]]
Worker = Callable[["Runtime", asyncio.Event], Awaitable[None]]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service as a table of what it has: the only thing that `app.py` of a service says."""

    name: str
    folder: Path
    """Where its package lies; `migrations/` below it."""
    summary: str
    config: type[ServiceConfig] = ServiceConfig
    routes: tuple[Route, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    jobs: tuple[Job, ...] = ()
    workers: tuple[Worker, ...] = ()
    resources: tuple[Resource, ...] = ()
    """Async context managers of what lives as long as the process; handlers reach them with `runtime.use(Type)`."""
    events: tuple[EventType[Any], ...] = ()
    calls: tuple[str, ...] = ()
    """The services that it calls over internal HTTP."""

    @property
    def migrations(self) -> Path:
        """The folder of numbered SQL files."""
        return self.folder / "migrations"


class Runtime:
    """A service that runs: its settings, its database, its way to the others."""

    def __init__(
        self, service: Service, settings: Settings, config: ServiceConfig, database: Database, internal: InternalClient
    ) -> None:
        self.service = service
        self.name = service.name
        self.settings = settings
        self.config = config
        self.database = database
        self.internal = internal
        self.callers = Callers(database, settings.secret_key)
        self._resources: dict[type, object] = {}

    def use(self, kind: type[T]) -> T:
        """A resource of the service."""
        resource = self._resources[kind]
        assert isinstance(resource, kind)
        return resource

    def provide(self, resource: object) -> None:
        """Make a resource reachable under its type."""
        self._resources[type(resource)] = resource


class Running:
    """A process that serves: where it listens, and how it is stopped."""

    def __init__(self, runtimes: Mapping[str, Runtime], port: int, bus: Bus) -> None:
        self.runtimes = runtimes
        self.port = port
        self.bus = bus
        self.ready = True
        """Off while the process stops, so that nobody sends it new work."""


@asynccontextmanager
async def running(
    services: Sequence[Service],
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    documented: Callable[[], Sequence[Service]] | None = None,
) -> AsyncIterator[Running]:
    """Run services in this process until the block ends; then finish what is in flight and close everything.

    `documented` finds the services that `/docs` describes: all of them, where each runs alone behind one gateway.
    """
    async with AsyncExitStack() as stack:
        if settings.otlp_endpoint:
            from shared.telemetry import exporting  # 20 MB that others need not have

            await stack.enter_async_context(exporting(settings.otlp_endpoint))
        bus = buses.connect(settings.bus_url)
        stack.push_async_callback(bus.close)
        site = _bind(settings)
        stack.push_async_callback(site.close)
        runtimes = {service.name: await _open(stack, service, settings, site.port, environ) for service in services}
        server = Server(
            secret_key=settings.secret_key,
            limiter=RateLimiter({"pro": settings.rate_limit_pro, "enterprise": settings.rate_limit_enterprise}),
            max_requests=settings.max_requests,
        )
        process = Running(runtimes, site.port, bus)
        _add_routes(server, process)
        documents.add(server.app, documented or (lambda: services))
        runner = web.AppRunner(
            server.app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=settings.shutdown_seconds,
            max_line_size=8190,
            max_field_size=16380,
        )
        await runner.setup()
        durable = not _share_one_log(settings, runtimes.values())
        consumers = [_consumer(runtime, bus, durable=durable) for runtime in runtimes.values()]
        for runtime, consumer in zip(runtimes.values(), consumers, strict=True):
            await stack.enter_async_context(_background(runtime, consumer, bus))
        stack.push_async_callback(runner.cleanup)
        await site.start(runner)
        try:
            yield process
        finally:
            process.ready = False
            server.draining = True
            if settings.drain_seconds:
                await asyncio.sleep(settings.drain_seconds)  # load balancers need a moment to look elsewhere


async def serve(
    services: Sequence[Service],
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    started: Callable[[Running], Awaitable[None]] | None = None,
    documented: Callable[[], Sequence[Service]] | None = None,
) -> None:
    """Run services until SIGINT or SIGTERM."""
    _allow_many_sockets()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(services, settings, environ, documented=documented) as process:
        log.info("ready", services=[service.name for service in services], port=process.port)
        if started:
            await started(process)
        await stop.wait()
        log.info("stopping")


async def _open(
    stack: AsyncExitStack, service: Service, settings: Settings, port: int, environ: Mapping[str, str] | None
) -> Runtime:
    config = load(service.config, f"ARPILOT_{service.name.upper()}_", environ)
    dsn, role = (
        (config.database_url, None) if config.database_url else (settings.database_url, migrate.role_of(service.name))
    )
    assert dsn, "checked when the settings were read"
    database = await db.connect(
        dsn,
        service=service.name,
        role=role,
        pool_size=config.pool_size,
        statement_timeout_seconds=config.statement_timeout_seconds,
    )
    stack.push_async_callback(database.close)
    async with database.connection() as conn:
        await migrate.require(conn, service.name, service.migrations)
    internal = InternalClient(service.name, peers(service.calls, port, environ), settings.secret_key)
    stack.push_async_callback(internal.close)
    runtime = Runtime(service, settings, config, database, internal)
    for resource in service.resources:
        runtime.provide(await stack.enter_async_context(resource(runtime)))
    return runtime


def _allow_many_sockets() -> None:
    """Clients and webhooks easily need more than the 1024 that shells grant."""
    granted, most = limits.getrlimit(limits.RLIMIT_NOFILE)
    wanted = SOCKETS if most == limits.RLIM_INFINITY else min(SOCKETS, most)
    if granted != limits.RLIM_INFINITY and granted < wanted:
        limits.setrlimit(limits.RLIMIT_NOFILE, (wanted, most))


def peers(calls: Sequence[str], port: int, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Base URLs of the services that are called: by setting, else this process itself."""
    return {name: peer_url(name, port, environ) for name in calls}


def peer_url(name: str, port: int, environ: Mapping[str, str] | None = None) -> str:
    """`ARPILOT_<SERVICE>_URL`, or this very process."""
    found = load(_Peer, f"ARPILOT_{name.upper()}_", environ)
    return (found.url or f"http://127.0.0.1:{port}").rstrip("/")


class _Peer(msgspec.Struct, frozen=True, kw_only=True):
    url: str | None = None


def _add_routes(server: Server, process: Running) -> None:
    runtimes = list(process.runtimes.values())
    for runtime in runtimes:
        server.add(runtime, runtime.service.routes)
    server.add(runtimes[0], oauth.ROUTES)
    health.add(server.app, process)


def _share_one_log(settings: Settings, runtimes: Iterable[Runtime]) -> bool:
    """Whether an outbox is emptied later in the same write-ahead log that the handlers' work is in."""
    return settings.bus_url.startswith("local:") and not any(runtime.config.database_url for runtime in runtimes)


def _consumer(runtime: Runtime, bus: Bus, *, durable: bool) -> Consumer:
    consumer = Consumer(runtime.name, runtime.database, runtime.service.subscriptions, durable=durable)
    if consumer.patterns:
        bus.subscribe(consumer)
    return consumer


@asynccontextmanager
async def _background(runtime: Runtime, consumer: Consumer, bus: Bus) -> AsyncIterator[None]:
    """Relay, consumer, jobs and workers of one service."""
    stopping = asyncio.Event()
    work = [
        Relay(runtime.name, runtime.database, bus).run(stopping),
        run_jobs(runtime, (*housekeeping.JOBS, *runtime.service.jobs), stopping),
    ]
    if consumer.patterns:
        work.append(bus.consume(consumer, stopping))
    tasks = [asyncio.create_task(one) for one in work]
    tasks += [asyncio.ensure_future(worker(runtime, stopping)) for worker in runtime.service.workers]
    try:
        yield
    finally:
        stopping.set()
        await _finish(tasks, runtime.settings.shutdown_seconds)


async def _finish(tasks: "Sequence[asyncio.Future[None]]", seconds: float) -> None:
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("a worker failed", exc_info=result)


def _bind(settings: Settings) -> "_Site":
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        reason = os.strerror(error.errno or 0).lower()
        raise WrongSetting(
            f"ARPILOT_PORT: cannot listen on {settings.host}:{settings.port}, {reason}; set another one."
        ) from error
    return _Site(listening)


class _Site:
    """The listening socket: bound early, so that a taken port stops the start, used once everything is ready."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self.port: int = listening.getsockname()[1]

    async def start(self, runner: web.AppRunner) -> None:
        await web.SockSite(runner, self._socket, backlog=1024).start()

    async def close(self) -> None:
        self._socket.close()
