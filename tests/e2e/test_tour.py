"""A newcomer's first five minutes: the README's tour as it stands, all in one process and as five over RabbitMQ."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from services import catalog
from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.processes import free_port
from shared.testing import gateway
from tests import harness
from tests.e2e import tour
from tests.harness import environment, wait_for

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(*arguments: str, env: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`arpilot …` as a process of its own; it has to stop cleanly."""
    with log.open("ab") as file:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", *arguments, cwd=ROOT, env=env, stdout=file, stderr=file
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(started.wait(), 40)
    assert code == 0, log.read_text()[-3000:]


async def answers(url: str, log: Path) -> None:
    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    try:
        await wait_for(ready)
    except AssertionError:
        pytest.fail(f"{url} did not become ready:\n{log.read_text()[-3000:]}")


def walk(directory: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Paste the tour into a shell in a directory that looks like the repository."""
    (directory / "docs").symlink_to(ROOT / "docs")
    port = free_port()
    text = tour.script().replace("localhost:9000", f"localhost:{port}").replace('"$SECRET" 9000', f'"$SECRET" {port}')
    env = {"PATH": os.environ["PATH"], "ARPILOT_DATA_DIR": str(data_dir)}
    return subprocess.run(
        ["bash", "-e"], input=text, cwd=directory, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def check(walked: subprocess.CompletedProcess[str]) -> None:
    """What the newcomer has to have seen."""
    seen = walked.stdout
    assert walked.returncode == 0, f"{seen}\n{walked.stderr}"
    number = re.search(r"(INV-\d{4}-\d{4}) over 450(\.0+)? is pending", seen)
    assert number, seen
    assert re.search(rf"{number[1]} is paid, due 0(\.0+)?\n", seen), seen
    assert '"reason"' in seen, "the bank's own fee is refused with a reason"
    balance = re.search(r"debit (\S+) = credit (\S+)", seen)
    assert balance
    assert balance[1] == balance[2]
    for event in ("customer.created", "invoice.created", "payment.created", "payment.matched", "invoice.paid"):
        assert re.search(rf"verified {re.escape(event)}\b", seen), seen
    assert "REFUSED" not in seen


async def test_the_tour_works_when_pasted_with_everything_in_one_process(tmp_path: Path) -> None:
    data_dir, port, log = tmp_path / "data", free_port(), tmp_path / "log"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ARPILOT_PORT": str(port),
        "ARPILOT_DATA_DIR": str(data_dir),
    }
    async with process("run", "all", env=env, log=log):
        await answers(f"http://127.0.0.1:{port}", log)
        await wait_for(lambda: asyncio.to_thread((data_dir / "demo.json").exists))
        check(await asyncio.to_thread(walk, tmp_path, data_dir))


async def test_the_tour_works_over_rabbitmq_with_five_processes_behind_the_gateway(
    tmp_path: Path, database_url: str, amqp_url: str
) -> None:
    assert shutil.which("nginx") or Path("/usr/sbin/nginx").exists(), "apt-get install nginx-light"
    ports = {name: free_port() for name in catalog.NAMES}
    urls = {f"ARPILOT_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    base = environment(database_url, amqp_url, tmp_path, PATH=os.environ["PATH"], HOME=str(tmp_path), **urls)
    await write_demo(database_url, tmp_path, base_url="")
    async with process("migrate", env=base, log=tmp_path / "migrate.log") as migrating:
        assert await asyncio.wait_for(migrating.wait(), 60) == 0
    async with five_processes(base, ports, tmp_path):
        with gateway.gateway(ports) as base_url:
            await write_demo(database_url, tmp_path, base_url=base_url)
            check(await asyncio.to_thread(walk, tmp_path, tmp_path))
    await harness.verify_ledgers(database_url)


@asynccontextmanager
async def five_processes(base: dict[str, str], ports: dict[str, int], directory: Path) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for name, port in ports.items():
            log = directory / f"{name}.log"
            await stack.enter_async_context(process("run", name, env={**base, "ARPILOT_PORT": str(port)}, log=log))
        for name, port in ports.items():
            await answers(f"http://127.0.0.1:{port}", directory / f"{name}.log")
        yield


async def write_demo(database_url: str, directory: Path, *, base_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    try:
        tenant_id = await admin.create_tenant(
            conn, name="Tour", live=False, tier="pro", timezone="UTC", currency="USD", email="tour@example.com"
        )
        key = await admin.create_key(conn, tenant_id, name="tour", scopes=AREAS)
    finally:
        await conn.close()
    (directory / "demo.json").write_text(
        json.dumps({"base_url": base_url, "api_key": key, "tenant_id": str(tenant_id)})
    )
