"""Claiming: who has something due, who has room for it, a fair share for each, and the lease on it."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import metrics, model, store
from services.webhooks.deliveries.model import Lane, Want
from services.webhooks.deliveries.presence import Presence
from services.webhooks.deliveries.store import Claim, Due
from services.webhooks.endpoints import health
from services.webhooks.endpoints.store import Key
from shared.db import Conn

T = TypeVar("T")

FRUITLESS_SECONDS = 1.0
"""An endpoint whose due deliveries could not be claimed (all wait for their turn) is left alone for this long."""
CLAIMED_AT_ONCE = 250
"""Small enough that the database answers while other deliveries are in flight (docs/performance.md)."""


class Slots:
    """What this dispatcher has in flight, and which endpoints rest."""

    def __init__(self, wake_in: Callable[[float], object]) -> None:
        self._wake_in = wake_in
        self._rest_until: dict[Key, float] = {}
        self.total = 0
        self.per_endpoint: Counter[Key] = Counter()
        self.per_tenant: Counter[UUID] = Counter()

    def take(self, claim: Claim) -> None:
        """A delivery begins."""
        self.total += 1
        self.per_endpoint[claim.key] += 1
        self.per_tenant[claim.tenant_id] += 1

    def free(self, claim: Claim) -> None:
        """A delivery has ended."""
        self.total -= 1
        decrement(self.per_endpoint, claim.key)
        decrement(self.per_tenant, claim.tenant_id)

    def rest(self, key: Key, seconds: float) -> None:
        """Leave an endpoint alone for a while."""
        self._rest_until[key] = time.monotonic() + seconds
        self._wake_in(max(0.0, seconds))

    def rests(self, key: Key) -> bool:
        """Whether an endpoint is left alone now."""
        if self._rest_until.get(key, 0.0) > time.monotonic():
            return True
        self._rest_until.pop(key, None)
        return False


def decrement(counter: Counter[T], key: T) -> None:
    """One less, and no entry for nothing."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


class Claimer:
    """Claims for one dispatcher."""

    def __init__(self, config: WebhooksConfig, presence: Presence, slots: Slots) -> None:
        self._config = config
        self._presence = presence
        self._slots = slots
        self.leaves_some = False
        """Whether the last claim left something due, for which there was no room, or whose turn it was not."""

    async def claim(self, conn: Conn, due: Sequence[Due], free: int, now: datetime) -> list[Claim]:
        """Lease up to `free` deliveries of what is due."""
        _measure_age(due, now)
        wants = self._choose(due, free, now)
        claims = await self._lease(conn, due, wants, now) if wants else []
        self._note_fruitless(wants, claims, due)
        self.leaves_some = _leaves_some(due, wants, claims)
        return claims

    def _choose(self, due: Sequence[Due], free: int, now: datetime) -> list[Want]:
        lanes = [lane for each in due if (lane := self._lane(each, now)).room]
        random.shuffle(lanes)  # what does not divide goes to the first
        bound = self._config.concurrency_per_tenant
        rooms = {lane.tenant_id: max(0, bound - self._slots.per_tenant[lane.tenant_id]) for lane in lanes}
        return model.choose(lanes, total=free, tenant_rooms=rooms)

    def _lane(self, due: Due, now: datetime) -> Lane:
        limit, in_flight = self._config.concurrency_per_endpoint, self._slots.per_endpoint[due.key]
        room = health.room(due.health, limit=limit, in_flight=in_flight, now=now)
        return Lane(
            tenant_id=due.tenant_id,
            endpoint_id=due.endpoint_id,
            room=0 if self._slots.rests(due.key) else room,
            has_first=due.first_due_at is not None,
            has_retries=due.retry_due_at is not None,
        )

    async def _lease(self, conn: Conn, due: Sequence[Due], wants: Sequence[Want], now: datetime) -> list[Claim]:
        by_id = {each.endpoint_id: each for each in due}
        tenants = {endpoint: each.tenant_id for endpoint, each in by_id.items()}
        if not any(by_id[want.endpoint_id].rate_limit_per_second for want in wants):
            return await store.claim(conn, self._presence.id, tenants, wants, now=now)
        async with conn.transaction():
            metered = await self._metered(conn, by_id, wants, now)
            return await store.claim(conn, self._presence.id, tenants, metered, now=now)

    async def _metered(self, conn: Conn, due: dict[UUID, Due], wants: Sequence[Want], now: datetime) -> list[Want]:
        """The wants, cut down to what the rate limits let through now."""
        limited = {due[want.endpoint_id].key for want in wants if due[want.endpoint_id].rate_limit_per_second}
        meters = await store.lock_meters(conn, sorted(limited))
        allowed = [self._through(meters, due[want.endpoint_id], want, now) for want in wants]
        await store.save_meters(conn, meters)
        return [want for want in allowed if want.count]

    def _through(self, meters: dict[Key, datetime], due: Due, want: Want, now: datetime) -> Want:
        per_second = due.rate_limit_per_second
        if per_second is None:
            return want
        granted = model.grant(meters[due.key], per_second=per_second, wanted=want.count, now=now)
        meters[due.key] = granted.meter
        self._slots.rest(due.key, (model.opens_at(granted.meter, per_second=per_second) - now).total_seconds())
        return Want(want.endpoint_id, want.is_retry, granted.count)

    def _note_fruitless(self, wants: Sequence[Want], claims: Sequence[Claim], due: Sequence[Due]) -> None:
        """An ordered endpoint may have only what waits for its turn: do not look through it every few milliseconds."""
        wanted = {want.endpoint_id for want in wants} - {claim.endpoint_id for claim in claims}
        for each in due:
            if (
                each.endpoint_id in wanted
                and not self._slots.per_endpoint[each.key]
                and not self._slots.rests(each.key)
            ):
                self._slots.rest(each.key, FRUITLESS_SECONDS)


def _leaves_some(due: Sequence[Due], wants: Sequence[Want], claims: Sequence[Claim]) -> bool:
    """An endpoint that got less than it could take has nothing more, unless what it has waits for its turn."""
    could = Counter({want.endpoint_id: want.count for want in wants})
    got = Counter(claim.endpoint_id for claim in claims)
    return any(each.ordered or got[each.endpoint_id] >= could[each.endpoint_id] for each in due)


def _measure_age(due: Sequence[Due], now: datetime) -> None:
    instants = [at for each in due for at in (each.first_due_at, each.retry_due_at) if at is not None]
    metrics.OLDEST_DUE_SECONDS.set((now - min(instants)).total_seconds() if instants else 0)
