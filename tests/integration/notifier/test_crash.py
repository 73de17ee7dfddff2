"""A process that is killed between the mail server's acceptance and its own record never sends the mail twice."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.processes import die_with_parent, free_port, tail, wait_until
from tests import harness
from tests.harness import Client, wait_for
from tests.integration.notifier.mailbox import mailbox
from tests.integration.notifier.test_sending import send, settings
from tests.integration.notifier.world import a_customer, an_invoice


@contextmanager
def everything(environ: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """All services in a process of their own, ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "run", "all"],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
    try:
        assert wait_until(lambda: ready(environ["ARPILOT_PORT"]), process, seconds=60), tail(log, characters=4000)
        yield process
    finally:
        process.kill()
        process.wait()


def ready(port: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
        return bool(answer.status == 200)
    return False


async def test_a_kill_between_acceptance_and_record_sends_no_mail_twice(database_url: str, tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box, aiohttp.ClientSession() as session:
        environ = harness.environment(database_url, "local:", tmp_path, **settings(box, "smtp"))
        environ["ARPILOT_PORT"] = str(free_port())
        client = await a_client(database_url, session, environ["ARPILOT_PORT"])
        killed = asyncio.Event()
        async with running(environ, tmp_path) as process:

            def kill() -> None:
                process.kill()
                killed.set()

            box.after_data = kill
            invoice = await an_invoice(client, (await a_customer(client))["id"])
            communication_id = await send(client, invoice["id"])
            await asyncio.wait_for(killed.wait(), 15)

        box.after_data = lambda: None
        await end_turns(database_url)
        async with running(environ, tmp_path):
            failed = await wait_for(lambda: given_up(client, communication_id))

    assert failed is not None
    assert failed["problem"]["code"] == "outcome_unknown"
    assert [str(mail["Message-ID"]) for mail in box.mails] == [f"<{communication_id}@sender.example>"]


@asynccontextmanager
async def running(environ: Mapping[str, str], directory: Path) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """The process, started beside the loop that serves its mail server."""
    manager = everything(environ, directory / "log")
    process = await asyncio.to_thread(manager.__enter__)
    try:
        yield process
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def a_client(database_url: str, session: aiohttp.ClientSession, port: str) -> Client:
    conn = await asyncpg.connect(database_url)
    try:
        tenant_id = await admin.create_tenant(
            conn, name="Test", live=True, tier="pro", timezone="UTC", currency="USD", email=None
        )
        key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    finally:
        await conn.close()
    assert key is not None
    return Client(f"http://127.0.0.1:{port}", key, tenant_id, session)


async def end_turns(database_url: str) -> None:
    """Let the dead process's turn be over now rather than in minutes."""
    conn = await asyncpg.connect(database_url)
    try:
        await conn.execute("update notifier.communications set turn_until = now() where status = 'sending'")
    finally:
        await conn.close()


async def given_up(client: Client, communication_id: str) -> dict[str, Any] | None:
    data: dict[str, Any] = (await client.get(f"/v1/communications/{communication_id}")).data
    return data if data["status"] == "failed" else None
