from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.ids import uuid7
from shared.testing import servers
from tests.integration.events.town import Town, a_town


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def amqp_url() -> Iterator[str]:
    with servers.broker() as url:
        yield url


@pytest.fixture(params=["local", "rabbitmq"])
def bus_url(request: pytest.FixtureRequest) -> str:
    """Everything that names a bus is tested on both."""
    if request.param == "local":
        return "local:"
    url: str = request.getfixturevalue("amqp_url")
    return url


@pytest.fixture
async def town(postgres_url: str, bus_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(postgres_url, bus_url, tmp_path, name=f"town_{uuid7().hex}") as made:
        yield made


@pytest.fixture
async def rabbit_town(postgres_url: str, amqp_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(postgres_url, amqp_url, tmp_path, name=f"town_{uuid7().hex}") as made:
        yield made


@pytest.fixture
async def local_town(postgres_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(postgres_url, "local:", tmp_path, name=f"town_{uuid7().hex}") as made:
        yield made
