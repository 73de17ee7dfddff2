"""The webhooks service alone, fed with events of every type through its own outbox."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from services.webhooks.app import SERVICE
from shared import clock
from shared.app import running
from shared.config import Settings, load
from shared.db import Database
from shared.events import Event
from shared.ids import uuid7
from shared.outbox import INSERT
from tests.harness import Answer, Client, System, wait_for


class House(System):
    """One replica that serves, and what tests do with it."""

    @property
    def database(self) -> Database:
        return self.process.runtimes["webhooks"].database

    async def announce(self, *events: Event) -> None:
        """Let events happen: they reach intake by outbox, relay and bus."""
        async with self.database.transaction() as conn:
            await conn.execute(
                INSERT,
                [event.tenant_id for event in events],
                [event.id for event in events],
                [event.type for event in events],
                [event.encode().decode() for event in events],
            )

    async def execute(self, statement: str, *arguments: object) -> None:
        """Change rows behind the service's back, such as time passing."""
        async with self.database.transaction() as conn:
            await conn.execute(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: object) -> Any:
        async with self.database.connection() as conn:
            return await conn.fetchval(statement, *arguments)

    async def nothing_queued(self) -> None:
        """Wait until everything is delivered or given up."""

        async def empty() -> bool:
            return bool(await self.fetchval("select count(*) = 0 from queue"))

        await wait_for(empty)


def an_event(
    tenant_id: UUID,
    event_type: str = "invoice.created",
    *,
    subject: UUID | None = None,
    sequence: int = 1,
    data: Mapping[str, object] | None = None,
) -> Event:
    subject = subject or uuid7()
    return Event(
        specversion="1.0",
        id=uuid7(),
        source="/arpilot/invoices",
        type=event_type,
        subject=subject,
        time=clock.now(),
        tenant_id=tenant_id,
        sequence=sequence,
        data=msgspec.Raw(msgspec.json.encode(data or {"id": subject, "amount": 12.5, "memo": "grüezi"})),
    )


@asynccontextmanager
async def a_house(environ: Mapping[str, str]) -> AsyncIterator[House]:
    settings = load(Settings, "ARPILOT_", environ)
    assert settings.database_url
    async with running([SERVICE], settings, environ) as process, aiohttp.ClientSession() as session:
        yield House(process, settings.database_url, session)


async def a_webhook(client: Client, url: str, **fields: object) -> dict[str, Any]:
    """A webhook as the API made it, with its secret."""
    answer = await client.post("/v1/webhooks", json={"url": url, **fields})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.data
    return found


async def deliveries(client: Client, webhook_id: str, query: str = "") -> list[dict[str, Any]]:
    answer: Answer = await client.get(f"/v1/webhooks/{webhook_id}/deliveries{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.data
    return found


async def delivered(client: Client, webhook_id: str, status: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many deliveries of a webhook have a status."""

    async def enough() -> list[dict[str, Any]]:
        found = await deliveries(client, webhook_id, f"?status={status}&per_page=100")
        return found if len(found) >= count else []

    return await wait_for(enough)
