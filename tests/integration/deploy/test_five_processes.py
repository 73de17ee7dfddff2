"""Five processes, RabbitMQ, and nginx before them: what `docker compose up` runs, without Docker."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio

from shared.testing.gateway import gateway
from tests import harness
from tests.harness import Client, wait_for
from tests.processes import Process, arpilot, environment, processes


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(
    postgres_url: str, template: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[dict[str, str], Path]]:
    directory = tmp_path_factory.mktemp("installation")
    async with harness.cloned(postgres_url, template) as url:
        environ = environment(url, amqp_url, directory)
        arpilot(environ, "migrate")
        yield environ, directory


@pytest.fixture(scope="module")
def services(installation: tuple[dict[str, str], Path]) -> Iterator[dict[str, Process]]:
    with processes(*installation) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(installation: tuple[dict[str, str], Path], services: dict[str, Process]) -> AsyncIterator[Client]:
    """A client of a tenant that an operator made, through the gateway."""
    environ, _ = installation
    tenant = arpilot(environ, "tenant", "create", "--name", "Acme Inc.")
    key = arpilot(environ, "key", "create", "--tenant", tenant)
    with gateway({name: process.port for name, process in services.items()}) as base_url:
        async with aiohttp.ClientSession() as session:
            yield Client(base_url, key, UUID(tenant), session)


async def a_customer(client: Client) -> str:
    contact = {"contact_name": "Ada", "email": "ada@example.com"}
    answer = await client.post("/v1/customers", json={"company_name": "Analytical Engines", "contacts": [contact]})
    return str(answer.data["id"])


async def test_a_customer_is_billed_and_pays_through_the_gateway(client: Client) -> None:
    customer = await a_customer(client)
    made = await client.post("/v1/invoices", json={"customer_id": customer, "amount": 120.50})
    invoice = made.data["id"]

    recorded = await client.post(f"/v1/invoices/{invoice}/record-payment", json={"payment_method": "wire"})

    assert recorded.status == 201, recorded.body

    async def paid() -> bool:
        return bool((await client.get(f"/v1/invoices/{invoice}")).data["status"] == "paid")

    async def told() -> bool:
        events = await client.get("/v1/events?limit=100")
        return {"invoice.created", "payment.created", "invoice.paid"} <= {
            event["type"] for event in events.json["data"]
        }

    await wait_for(paid)
    await wait_for(told)


async def test_the_reference_describes_all_services(client: Client) -> None:
    document = (await client.get("/openapi.json")).json

    assert {"/v1/customers", "/v1/invoices", "/v1/payments", "/v1/webhooks", "/v1/templates"} <= set(document["paths"])
    assert not [path for path in document["paths"] if path.startswith("/internal")]


async def test_metrics_and_internal_calls_stay_inside(client: Client) -> None:
    assert (await client.get("/metrics")).status == 404
    assert (await client.post("/internal/applications", json={"applications": []})).status == 404


async def test_a_killed_service_is_503_until_it_is_back_and_the_others_go_on(
    client: Client, services: dict[str, Process]
) -> None:
    services["payments"].kill()

    away = await client.get("/v1/payments")
    other = await client.get("/v1/customers")
    services["payments"].start()

    assert (away.status, away.code, away.headers["Retry-After"]) == (503, "service_unavailable", "2")
    assert other.status == 200
    assert (await client.get("/v1/payments")).status == 200


async def test_a_stopped_service_ends_in_good_order(client: Client, services: dict[str, Process]) -> None:
    await client.get("/v1/templates")

    code = services["notifier"].stop()
    services["notifier"].start()

    assert code == 0
    assert "Traceback" not in services["notifier"].log.read_text()
