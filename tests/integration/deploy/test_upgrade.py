"""A rolling upgrade under load: one replica after the other is stopped and started, and nobody notices."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest_asyncio

from shared.ids import uuid7
from shared.testing.gateway import gateway
from tests import harness
from tests.harness import Client, wait_for
from tests.processes import Process, arpilot, environment, processes

CALLERS = 6
PAUSE_SECONDS = 0.05
"""Of each caller between two invoices: enough for requests in flight at any moment, and few enough to count."""

NAMES = ("customers", "invoices", "invoices-2", "webhooks", "payments", "notifier")


@pytest_asyncio.fixture(loop_scope="session")
async def installation(
    postgres_url: str, template: str, amqp_url: str, tmp_path: Path
) -> AsyncIterator[tuple[dict[str, str], Path]]:
    async with harness.cloned(postgres_url, template) as url:
        environ = environment(url, amqp_url, tmp_path) | {"ARPILOT_DRAIN_SECONDS": "1"}
        arpilot(environ, "migrate")
        yield environ, tmp_path
        await harness.verify_ledgers(url)


class Rotation:
    """One address for several replicas, as a cluster gives it: each new connection goes to the next in rotation."""

    def __init__(self, *replicas: Process) -> None:
        self.replicas = list(replicas)
        self._turn = count()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replica = self.replicas[next(self._turn) % len(self.replicas)]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", replica.port)
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def create_until(done: asyncio.Event, client: Client, customer: str) -> Counter[str]:
    """Bill the customer again and again; returns how often which answer came back."""
    statuses: Counter[str] = Counter()
    while not done.is_set():
        headers = {"Idempotency-Key": str(uuid7())}
        body = {"customer_id": customer, "amount": 10}
        answer = await client.post("/v1/invoices", json=body, headers=headers)
        statuses["created" if answer.status == 201 else f"{answer.status} {answer.body.decode()}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)
    return statuses


async def upgrade(rotation: Rotation, replica: Process) -> int:
    """What an orchestrator does to one replica.

    Out of the rotation and SIGTERM; wait, start the next version; into the rotation when it is ready.
    """
    rotation.replicas.remove(replica)
    code = await asyncio.to_thread(replica.stop)
    replica.launch()  # from this thread: the process dies with the thread that starts it
    await asyncio.to_thread(replica.wait_ready)
    rotation.replicas.append(replica)
    return code


async def test_a_rolling_upgrade_loses_no_request_and_no_event(installation: tuple[dict[str, str], Path]) -> None:
    environ, _ = installation
    tenant = arpilot(environ, "tenant", "create", "--name", "Acme Inc.", "--tier", "enterprise")
    key = arpilot(environ, "key", "create", "--tenant", tenant)
    with processes(*installation, names=NAMES) as running:
        rotation = Rotation(running["invoices"], running["invoices-2"])
        async with rotation.serving() as port, aiohttp.ClientSession() as session:
            with gateway({name: process.port for name, process in running.items()} | {"invoices": port}) as base_url:
                client = Client(base_url, key, UUID(tenant), session)
                contact = {"contact_name": "Ada", "email": "ada@example.com"}
                customer = await client.post("/v1/customers", json={"company_name": "Engines", "contacts": [contact]})
                done = asyncio.Event()
                callers = [asyncio.create_task(create_until(done, client, customer.data["id"])) for _ in range(CALLERS)]
                codes = [await upgrade(rotation, replica) for replica in tuple(rotation.replicas)]
                done.set()
                statuses = sum(await asyncio.gather(*callers), Counter[str]())

                assert codes == [0, 0]
                assert set(statuses) == {"created"}
                await all_are_announced(environ["ARPILOT_DATABASE_URL"], statuses["created"])
                await every_invoice_is_numbered_and_announced_once(client, statuses["created"])


async def all_are_announced(database_url: str, expected: int) -> None:
    """Wait for the events; the clock starts anew whenever one comes."""
    conn = await asyncpg.connect(database_url)
    heard = 0

    async def more() -> int:
        found: int = await conn.fetchval("select count(*) from webhooks.events where type = 'invoice.created'")
        return found if found > heard else 0

    try:
        while heard < expected:
            heard = await wait_for(more)
    finally:
        await conn.close()


async def every_invoice_is_numbered_and_announced_once(client: Client, expected: int) -> None:
    numbers = [invoice["invoice_number"] async for invoice in everything(client, "/v1/invoices?")]
    assert sorted(int(number.rpartition("-")[2]) for number in numbers) == list(range(1, expected + 1))

    subjects = [event["data"]["id"] async for event in everything(client, "/v1/events?type=invoice.created&")]
    assert len(subjects) == len(set(subjects)) == expected


async def everything(client: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    """All objects of a list, by cursor."""
    after = ""
    while True:
        page = (await client.get(f"{path}limit=100{after}")).json
        for item in page["data"]:
            yield item
        if not page["pagination"]["has_next_page"]:
            return
        after = f"&after={page['pagination']['end_cursor']}"
