"""Making single invoices: looking up what they name and writing them, many requests in one statement."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from services.invoices.issuing import store
from services.invoices.issuing.model import Facts
from services.invoices.issuing.store import Kept, Made, Making, Names
from shared.app import Runtime
from shared.combining import Combiner
from shared.http.idempotency import Attempt, Running

KNOWN = 1000
KNOWN_SECONDS = 10.0
"""The tenant's own time zone and currency, which an operator sets, have no version: they are known anew by then."""
REPEATED = "repeated"
"""The refusal of a request whose Idempotency-Key was answered before, or is being answered."""


class Creating:
    """One process's way to new invoices."""

    def __init__(self, runtime: Runtime) -> None:
        self._facts: Combiner[tuple[UUID, Names], Facts] = Combiner(
            runtime.database.for_reading(), store.load_many_facts
        )
        self._create: Combiner[Making, Made] = Combiner(runtime.database, store.create)
        self._running = Running()
        self._known: dict[tuple[UUID, Names], tuple[float, Facts]] = {}

    async def facts(self, tenant_id: UUID, names: Names) -> Facts:
        """What the tenant has of what is named."""
        return await self._facts.submit((tenant_id, names))

    def known(self, tenant_id: UUID, names: Names) -> Facts | None:
        """What was looked up lately; whoever makes an invoice from it says so by its version."""
        until, facts = self._known.get((tenant_id, names), (0.0, None))
        return facts if until > time.monotonic() else None

    def remember(self, tenant_id: UUID, names: Names, facts: Facts) -> None:
        """Keep what was looked up."""
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[tenant_id, names] = (time.monotonic() + KNOWN_SECONDS, facts)

    async def create(self, making: Making) -> Made:
        """Make an invoice, in a transaction that ends with it."""
        return await self._create.submit(making)

    async def create_once(self, making: Making, attempt: Attempt, body: bytes) -> Made:
        """Make an invoice and keep the answer under its key; refused as REPEATED where the key has one already."""
        with self._running.alone(attempt) as alone:
            if not alone:
                return Made(invoice_number=None, refusal=REPEATED)
            return await self.create(msgspec.structs.replace(making, kept=Kept(attempt=attempt, body=body)))


@asynccontextmanager
async def creating(runtime: Runtime) -> AsyncIterator[Creating]:
    """The resource of the service."""
    yield Creating(runtime)
