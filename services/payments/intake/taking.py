"""Taking in single payments, many requests in one statement (docs/performance.md)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.payments.intake import store
from services.payments.intake.store import Taking
from shared.app import Runtime
from shared.combining import Combiner
from shared.http.idempotency import Running


class Till:
    """One process's way to new payments."""

    def __init__(self, runtime: Runtime) -> None:
        self._take: Combiner[Taking, bool] = Combiner(runtime.database, store.take)
        self._running = Running()

    async def take(self, taking: Taking) -> bool:
        """Take in a payment, in a transaction that ends with it; False where its key or its external id was there."""
        with self._running.alone(taking.attempt) as alone:
            return alone and await self._take.submit(taking)


@asynccontextmanager
async def till(runtime: Runtime) -> AsyncIterator[Till]:
    """The resource of the service."""
    yield Till(runtime)
