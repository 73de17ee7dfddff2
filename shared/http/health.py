"""`/healthz` (the process is alive), `/readyz` (it can work), `/metrics` (Prometheus)."""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared import migrate
from shared.db import LOST
from shared.errors import Refusal
from shared.http.calls import JSON, encode

if TYPE_CHECKING:
    from shared.app import Running, Runtime

CHECK_SECONDS = 2.0


def add(app: web.Application, process: "Running") -> None:
    """Serve the three addresses."""

    async def readyz(_: web.Request) -> web.Response:
        return await ready(process)

    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


async def alive(_: web.Request) -> web.Response:
    """The event loop turns; nothing else is asked, or a database outage would restart every service."""
    return web.Response(body=encode({"status": "alive"}), content_type=JSON)


async def metrics(_: web.Request) -> web.Response:
    """Everything that the process counts; the gateway does not route here."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def ready(process: "Running") -> web.Response:
    """Whether database, broker and schema are there.

    The broker is told but does not decide: without it requests are still accepted and their events leave later.
    """
    checks = {"stopping": "no" if process.ready else "yes", "bus": "connected" if process.bus.connected else "away"}
    for name, runtime in process.runtimes.items():
        checks[name] = await _schema(runtime)
    good = process.ready and all(checks[name] == "ok" for name in process.runtimes)
    body = encode({"status": "ready" if good else "not_ready", "checks": checks})
    return web.Response(body=body, status=200 if good else 503, content_type=JSON)


async def _schema(runtime: "Runtime") -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS), runtime.database.connection() as conn:
            missing = await migrate.pending(conn, runtime.name, runtime.service.migrations)
    except (Refusal, TimeoutError, *LOST):
        return "database away"
    return f"schema lacks {', '.join(missing)}" if missing else "ok"
