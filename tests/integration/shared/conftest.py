"""What tests of the mechanisms share."""

from collections.abc import AsyncIterator

import pytest_asyncio

from shared import db
from shared.db import Database


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The invoices service's way to a fresh database."""
    opened = await db.connect(
        database_url, service="invoices", role="arpilot_invoices", pool_size=4, statement_timeout_seconds=10
    )
    yield opened
    await opened.close()
