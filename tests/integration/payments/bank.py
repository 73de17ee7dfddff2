"""Bank files sent by a client, and payments services that can be killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from shared.processes import free_port
from tests.harness import Answer, Client, wait_for

Json = dict[str, Any]
SAMPLES = Path(__file__).parents[2] / "samples" / "bank"


async def send(client: Client, content: bytes, name: str = "bank.csv", **fields: str) -> Answer:
    """Send a file as a form."""
    form = aiohttp.FormData(fields)
    form.add_field("file", content, filename=name)
    return await client.post("/v1/payments/import", data=form)


async def send_raw(client: Client, content: bytes, **parameters: str) -> Answer:
    """Send a file as it is."""
    return await client.post("/v1/payments/import", data=content, params=parameters)


async def job_of(client: Client, job_id: str) -> Json:
    """An import as it is now."""
    found: Json = (await client.get(f"/v1/payments/imports/{job_id}")).data
    return found


async def finished(client: Client, answer: Answer, *, seconds: float = 30) -> Json:
    """The import that an upload began, once it is over."""
    assert answer.status == 202, answer

    async def is_over() -> Json | None:
        job = await job_of(client, answer.data["id"])
        return job if job["status"] != "processing" else None

    job = await wait_for(is_over, seconds=seconds)
    assert job is not None
    return job


async def imported(client: Client, name: str, **fields: str) -> Json:
    """The import of a sample file, once it is over."""
    return await finished(client, await send(client, (SAMPLES / name).read_bytes(), name, **fields))


async def payments_of(client: Client) -> list[Json]:
    """All payments of the tenant, oldest first."""
    found: list[Json] = (await client.get("/v1/payments?per_page=100&sort=payment_date&order=asc")).data
    return found


def long_csv(rows: int) -> bytes:
    """A file of so many payments, each different from the others."""
    lines = (f"2026-11-{row % 28 + 1:02},{row + 1}.00,Payer {row},INV-{row}\n" for row in range(rows))
    return ("Date,Amount,Payer,Reference\n" + "".join(lines)).encode()


@asynccontextmanager
async def replica(environ: Mapping[str, str]) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A payments service in a process of its own, at this URL; it may be killed before the block ends."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "run", "payments", env={**os.environ, **environ, "ARPILOT_PORT": str(port)}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await wait_for(lambda: answers(url))
        yield url, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)  # a test may have frozen it
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def answers(url: str) -> bool:
    """Whether a service is ready."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False
