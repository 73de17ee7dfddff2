"""A second tenant, to whom nothing of the first may show."""

import pytest_asyncio

from tests.harness import Client, System


@pytest_asyncio.fixture
async def other(system: System) -> Client:
    """A client of another tenant."""
    return await system.client()
