"""The owner of something, a stranger who owns the like, and what the stranger must never see."""

import pytest_asyncio

from tests.harness import System
from tests.security.estate import Owner, an_owner, shown


@pytest_asyncio.fixture(scope="session")
async def owner(system: System) -> Owner:
    """A tenant whose ids the stranger has got hold of."""
    owner = await an_owner(system)
    everybodys = await shown(await system.client(), {"customer_id": owner.ids["customer_id"]})
    owner.own = await shown(owner.client, owner.ids) - everybodys
    assert len(owner.own) > 30
    return owner


@pytest_asyncio.fixture(scope="session")
async def stranger(system: System) -> Owner:
    """Another tenant, with all rights in its own house."""
    return await an_owner(system)
