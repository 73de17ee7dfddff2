"""Intake: every public event is logged and gets a delivery for each endpoint that wants it, in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from services.webhooks.deliveries import store
from services.webhooks.deliveries.actions import item
from services.webhooks.deliveries.store import Item
from services.webhooks.endpoints.model import EVENT_TYPES, Endpoint
from services.webhooks.endpoints.subscriptions import Subscriptions
from services.webhooks.log import model as log_model
from services.webhooks.log import store as log_store
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription

_subscriptions = Subscriptions()


async def store_deliveries(conn: Conn, events: Sequence[Event]) -> None:
    """Take in a batch of new events."""
    public = [event for event in events if event.type in EVENT_TYPES]
    if not public:
        return
    await log_store.put(conn, [log_model.entry(event) for event in public])
    wanting = await _subscriptions.of(conn, {event.tenant_id for event in public})
    items = list(_items(public, wanting))
    if items:
        await store.put(conn, items, now=clock.now())


def _items(events: Sequence[Event], wanting: Mapping[UUID, Sequence[Endpoint]]) -> Iterator[Item]:
    for event in events:
        for endpoint in wanting.get(event.tenant_id, ()):
            if endpoint.wants(event.type, event.subject):
                yield item(endpoint, event.id, event.type, event.subject, event.sequence)


SUBSCRIPTIONS = (Subscription("*", store_deliveries, batch=True),)
