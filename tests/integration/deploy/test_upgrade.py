"""A rolling upgrade under load: one replica after the other is stopped and started, and nobody notices."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest_asyncio

from shared.ids import uuid7
from shared.testing.gateway import gateway
from tests import harness
from tests.harness import Client, wait_for
from tests.processes import Process, arpilot, environment, processes

CALLERS = 6
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


async def create_until(done: asyncio.Event, client: Client, customer: str) -> Counter[str]:
    """Bill the customer again and again; returns how often which answer came back."""
    statuses: Counter[str] = Counter()
    while not done.is_set():
        headers = {"Idempotency-Key": str(uuid7())}
        body = {"customer_id": customer, "amount": 10}
        answer = await client.post("/v1/invoices", json=body, headers=headers)
        statuses["created" if answer.status == 201 else f"{answer.status} {answer.body.decode()}"] += 1
    return statuses


async def upgrade(replica: Process) -> int:
    """What an orchestrator does to one replica: SIGTERM, wait, start the next version, wait until it is ready."""
    code = await asyncio.to_thread(replica.stop)
    replica.launch()  # from this thread: the process dies with the thread that starts it
    await asyncio.to_thread(replica.wait_ready)
    return code


async def test_a_rolling_upgrade_loses_no_request_and_no_event(installation: tuple[dict[str, str], Path]) -> None:
    environ, _ = installation
    tenant = arpilot(environ, "tenant", "create", "--name", "Acme Inc.", "--tier", "enterprise")
    key = arpilot(environ, "key", "create", "--tenant", tenant)
    with processes(*installation, names=NAMES) as running:
        one, two = running["invoices"], running["invoices-2"]
        servers = " ".join(f"server 127.0.0.1:{replica.port} max_fails=0;" for replica in (one, two))
        ports = {name: process.port for name, process in running.items()}
        with gateway(ports, values={f"server 127.0.0.1:{one.port};": servers}) as base_url:
            async with aiohttp.ClientSession() as session:
                client = Client(base_url, key, UUID(tenant), session)
                contact = {"contact_name": "Ada", "email": "ada@example.com"}
                customer = await client.post("/v1/customers", json={"company_name": "Engines", "contacts": [contact]})
                done = asyncio.Event()
                callers = [asyncio.create_task(create_until(done, client, customer.data["id"])) for _ in range(CALLERS)]
                codes = [await upgrade(replica) for replica in (one, two)]
                done.set()
                statuses = sum(await asyncio.gather(*callers), Counter[str]())

                assert codes == [0, 0]
                assert set(statuses) == {"created"}
                await every_invoice_is_numbered_and_announced_once(client, statuses["created"])


async def every_invoice_is_numbered_and_announced_once(client: Client, count: int) -> None:
    numbers = sorted([invoice["invoice_number"] async for invoice in everything(client, "/v1/invoices?")])
    assert len(numbers) == count
    assert [int(number.rpartition("-")[2]) for number in numbers] == list(range(1, count + 1))

    async def all_announced() -> bool:
        return len([1 async for _ in everything(client, "/v1/events?type=invoice.created&")]) >= count

    await wait_for(all_announced, seconds=30)
    subjects = [event["data"]["id"] async for event in everything(client, "/v1/events?type=invoice.created&")]
    assert len(subjects) == len(set(subjects)) == count


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
