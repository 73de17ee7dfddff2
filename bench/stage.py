"""What a measurement runs on: a durable PostgreSQL, a RabbitMQ, ARPilot as a process of its own, and pgbench."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from services import catalog
from shared import migrate
from shared.embedded import programs
from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.processes import free_port
from shared.testing import servers

SECRETS = {
    "ARPILOT_SECRET_KEY": "a secret of the measurements, long enough",
    "ARPILOT_ENCRYPTION_KEYS": "bench:" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
}
ROOT = Path(__file__).parents[1]


@dataclass
class Tenant:
    """A tenant with a key and one customer."""

    tenant_id: str
    key: str
    customer_id: str = ""


@dataclass
class Stage:
    """One migrated database, and ARPilot running on it."""

    database_url: str
    base_url: str
    pid: int
    tenants: list[Tenant] = field(default_factory=list)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The database as its owner."""
        return await asyncpg.connect(self.database_url)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A migrated database on a PostgreSQL with durable settings (fsync on), as its owner."""
    with servers.private_postgres() as server:
        conn = await asyncpg.connect(server.url)
        await conn.execute("create database bench")
        await conn.close()
        url = urlunsplit(urlsplit(server.url)._replace(path="/bench"))
        folders = {name: ROOT / "services" / name / "migrations" for name in catalog.NAMES}
        await asyncio.to_thread(migrate.apply, url, folders, {})
        yield url


@asynccontextmanager
async def stage(
    *, services: str = "all", alone: str = "", bus_url: str = "local:", tenants: int = 1, **more: str
) -> AsyncIterator[Stage]:
    """ARPilot as a user runs it, in one process of its own, with tenants that each have a customer.

    `alone` names the one service that goes on, in a process of its own, once all of them have made these.
    """
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(database())
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="arpilot-bench-"))
        made = await _tenants(url, tenants)
        port = free_port()
        process = await _start(services, url, bus_url, directory, port, more)
        running = Stage(url, f"http://127.0.0.1:{port}", process.pid, made)
        try:
            await ready(running.base_url)
            await _customers(running)
            if alone:
                await worked_off(running)
                await _stop(process)
                urls = {f"ARPILOT_{name.upper()}_URL": running.base_url for name in catalog.NAMES}
                process = await _start(alone, url, bus_url, directory, port, urls | more)
                running.pid = process.pid
                await ready(running.base_url)
            yield running
        finally:
            await _stop(process)


async def worked_off(running: Stage) -> None:
    """Wait until every event is where it should be."""
    some = " or ".join(f"exists (select from {name}.outbox)" for name in catalog.NAMES)
    conn = await running.connect()
    try:
        async with asyncio.timeout(120):
            while await conn.fetchval(f"select {some}"):  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.05)
    finally:
        await conn.close()


async def known_to_the_planner(running: Stage) -> None:
    """Do what autovacuum does within a minute: without statistics PostgreSQL joins as if all tables were small."""
    conn = await running.connect()
    await conn.execute("analyze")
    await conn.close()


@contextmanager
def frozen(running: Stage) -> Iterator[None]:
    """ARPilot computes nothing while the block runs, so that the limit has the machine for itself."""
    os.kill(running.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.pid, signal.SIGCONT)


async def _start(
    services: str, url: str, bus_url: str, directory: str, port: int, more: dict[str, str]
) -> asyncio.subprocess.Process:
    environ = {
        **SECRETS,
        "PATH": os.environ["PATH"],
        "HOME": directory,
        "ARPILOT_DATABASE_URL": url,
        "ARPILOT_BUS_URL": bus_url,
        "ARPILOT_DATA_DIR": directory,
        "ARPILOT_PORT": str(port),
        "ARPILOT_LOG_LEVEL": "warning",
        "ARPILOT_RATE_LIMIT_ENTERPRISE": "1000000",
        **more,
    }
    log = Path(directory, "log").open("wb")  # noqa: SIM115, ASYNC230  the process writes to it for as long as it lives
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "run", services, cwd=ROOT, env=environ, stdout=log, stderr=log
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGTERM)
    await process.wait()


async def ready(base_url: str) -> None:
    """Wait until a server answers that it is ready."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{base_url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def _tenants(url: str, count: int) -> list[Tenant]:
    conn = await asyncpg.connect(url)
    try:
        made = []
        for number in range(count):
            tenant_id = await admin.create_tenant(
                conn, name=f"Bench {number}", live=True, tier="enterprise", timezone="UTC", currency="USD"
            )
            key = await admin.create_key(conn, tenant_id, name="bench", scopes=AREAS)
            assert key
            made.append(Tenant(str(tenant_id), key))
        return made
    finally:
        await conn.close()


async def _customers(running: Stage) -> None:
    body = {"company_name": "Bench customer", "contacts": [{"contact_name": "A", "email": "a@bench.example"}]}
    async with aiohttp.ClientSession() as session:
        for tenant in running.tenants:
            headers = {"Authorization": f"Bearer {tenant.key}"}
            async with session.post(f"{running.base_url}/v1/customers", json=body, headers=headers) as response:
                tenant.customer_id = (await response.json())["data"]["id"]


def pgbench(url: str, script: str, *, clients: int, seconds: float, tenants: int) -> tuple[float, float]:
    """Run a pgbench script with prepared statements; returns transactions per second and latency in milliseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [str(programs() / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "1"]
        command += ["-T", str(max(1, round(seconds))), "-D", f"tenants={tenants}", "-f", file.name, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench failed: {done.stderr[:500]}")
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    latency = re.search(r"latency average = ([\d.]+) ms", done.stdout)
    assert rate, done.stdout
    assert latency, done.stdout
    return float(rate[1]), float(latency[1])
