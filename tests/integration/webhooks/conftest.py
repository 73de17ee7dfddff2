import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from services.webhooks.app import SERVICE
from shared import migrate
from shared.ids import uuid7
from tests.harness import Client, cloned, database_named, environment
from tests.integration.webhooks.house import House, a_house
from tests.integration.webhooks.receiver import Receiver, receiving


@pytest.fixture(scope="session")
def webhooks_template(postgres_url: str) -> str:
    """A database with the schema of this service alone."""
    name = f"webhooks_template_{uuid7().hex}"

    async def create() -> None:
        conn = await asyncpg.connect(postgres_url)
        await conn.execute(f'create database "{name}"')
        await conn.close()

    asyncio.run(create())
    migrate.apply(database_named(postgres_url, name), {"webhooks": SERVICE.migrations}, {})
    return name


@pytest_asyncio.fixture
async def webhooks_url(postgres_url: str, webhooks_template: str) -> AsyncIterator[str]:
    async with cloned(postgres_url, webhooks_template) as url:
        yield url


@pytest_asyncio.fixture
async def house(webhooks_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """The service, with http://127.0.0.1 allowed."""
    async with a_house(environment(webhooks_url, "local:", tmp_path)) as made:
        yield made


@pytest_asyncio.fixture
async def strict_house(webhooks_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """The service as it runs in production."""
    async with a_house(environment(webhooks_url, "local:", tmp_path, ARPILOT_WEBHOOKS_ALLOW_INSECURE="false")) as made:
        yield made


@pytest_asyncio.fixture
async def client(house: House) -> Client:
    """A client of a new tenant."""
    return await house.client()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest_asyncio.fixture
async def rabbit_house(webhooks_url: str, amqp_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """The service over RabbitMQ."""
    async with a_house(environment(webhooks_url, amqp_url, tmp_path)) as made:
        yield made
