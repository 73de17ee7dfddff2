"""Delivering again."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from services.webhooks.deliveries import store
from services.webhooks.deliveries.errors import DeliveryNotFound, ReplayTooLarge
from services.webhooks.deliveries.store import Item
from services.webhooks.endpoints.model import EVENT_TYPES, Endpoint
from services.webhooks.log import store as log_store
from shared.db import Conn
from shared.events import matches
from shared.ids import uuid7

REPLAYED_AT_MOST = 100_000
PUT_AT_ONCE = 1000


async def redeliver(conn: Conn, endpoint: Endpoint, delivery_id: UUID, *, now: datetime) -> int:
    """Deliver one event again, from the beginning of the schedule."""
    item = await store.find(conn, (endpoint.tenant_id, endpoint.id), delivery_id)
    if item is None:
        raise DeliveryNotFound(delivery_id=delivery_id)
    await store.put(conn, [item], now=now, again=True)
    return 1


async def replay(
    conn: Conn,
    endpoint: Endpoint,
    *,
    start: datetime,
    end: datetime,
    patterns: Sequence[str],
    failed_only: bool,
    now: datetime,
) -> int:
    """Deliver the events of a range of time again: all that the endpoint wants, or those that were given up."""
    types = [known for known in EVENT_TYPES if any(matches(pattern, known) for pattern in patterns)]
    read = _failed if failed_only else _wanted
    items = await read(conn, endpoint, start, end, types)
    if len(items) > REPLAYED_AT_MOST:
        raise ReplayTooLarge(limit=REPLAYED_AT_MOST)
    for some in _chunks(items):
        await store.put(conn, some, now=now, again=True)
    return len(items)


async def _failed(conn: Conn, endpoint: Endpoint, start: datetime, end: datetime, types: Sequence[str]) -> list[Item]:
    key = endpoint.tenant_id, endpoint.id
    return await store.failed_between(conn, key, start=start, end=end, types=types, limit=REPLAYED_AT_MOST + 1)


async def _wanted(conn: Conn, endpoint: Endpoint, start: datetime, end: datetime, types: Sequence[str]) -> list[Item]:
    rows = await log_store.between(
        conn, endpoint.tenant_id, start=start, end=end, types=types, limit=REPLAYED_AT_MOST + 1
    )
    return [
        item(endpoint, row["id"], row["type"], row["subject"], row["sequence"])
        for row in rows
        if endpoint.wants(row["type"], row["subject"])
    ]


def item(endpoint: Endpoint, event_id: UUID, event_type: str, subject: UUID, sequence: int) -> Item:
    """An event that an endpoint is to get."""
    return Item(endpoint.tenant_id, endpoint.id, event_id, uuid7(), event_type, subject, sequence, endpoint.ordered)


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + PUT_AT_ONCE] for start in range(0, len(items), PUT_AT_ONCE))
