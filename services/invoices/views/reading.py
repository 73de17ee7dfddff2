"""Reading single invoices: requests that come together are answered by one statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.invoices.views import store
from services.invoices.views.store import Found
from shared.app import Runtime
from shared.combining import Combiner


class Reading:
    """One process's way to single invoices."""

    def __init__(self, runtime: Runtime) -> None:
        self._find: Combiner[tuple[UUID, UUID], Found | None] = Combiner(runtime.database, store.find_several)

    async def find(self, tenant_id: UUID, invoice_id: UUID) -> Found | None:
        """An invoice of a tenant, where there is one."""
        return await self._find.submit((tenant_id, invoice_id))


@asynccontextmanager
async def reading(runtime: Runtime) -> AsyncIterator[Reading]:
    """The resource of the service."""
    yield Reading(runtime)
