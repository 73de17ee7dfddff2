"""Fixtures for all tests: servers once per worker, one system over the local bus, one over RabbitMQ."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from shared.testing import servers
from tests import harness
from tests.contract import recording
from tests.harness import Client, System

# a slow machine is no defect: nothing here asserts on time
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _record_samples() -> Iterator[None]:
    """Write down new types of events where that was asked for (tests/contract/recording.py)."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if os.environ.get("ARPILOT_RECORD_SAMPLES"):
            recording.record(monkeypatch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _remove_data_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As root the embedded PostgreSQL keeps its data in /var/lib where nobody cannot reach a test's own directory."""
    yield
    for link in tmp_path_factory.getbasetemp().rglob("postgres"):
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server, as its superuser."""
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="module")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ of the module's own: queues have fixed names, so two systems on one broker would share the events."""
    with servers.private_broker() as broker:
        yield broker.url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """A migrated database to clone."""
    return asyncio.run(harness.make_template(postgres_url))


@pytest_asyncio.fixture
async def database_url(postgres_url: str, template: str) -> AsyncIterator[str]:
    """A fresh, migrated database, as its owner."""
    async with harness.cloned(postgres_url, template) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def system(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """All five services in this process over the local bus. Tests share it: each makes tenants of its own."""
    data_dir: Path = tmp_path_factory.mktemp("system")
    async with harness.cloned(postgres_url, template) as url:
        async with harness.system_over(harness.environment(url, "local:", data_dir)) as system:
            yield system
        await harness.verify_ledgers(url)


@pytest_asyncio.fixture(scope="session")
async def rabbit_system(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """The same over RabbitMQ, on a broker that no other system uses."""
    data_dir: Path = tmp_path_factory.mktemp("rabbit-system")
    async with harness.cloned(postgres_url, template) as url:
        with servers.broker() as amqp_url:
            async with harness.system_over(harness.environment(url, amqp_url, data_dir)) as system:
                yield system
        await harness.verify_ledgers(url)


@pytest_asyncio.fixture
async def client(system: System) -> Client:
    """A client of a new tenant with all scopes."""
    return await system.client()
