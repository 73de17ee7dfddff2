"""Which endpoints want an event: cached, and never stale.

Each change of a tenant's endpoints writes a new version in its own transaction; intake reads the versions of its
batch's tenants in the transaction that stores the deliveries. So a change counts at once, on every replica.
"""

from collections.abc import Collection
from uuid import UUID

from services.webhooks.endpoints import store
from services.webhooks.endpoints.model import Endpoint
from shared.db import Conn

CACHED_TENANTS = 10_000


class Subscriptions:
    """The active endpoints of tenants, each under the version that they were read at."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[UUID, list[Endpoint]]] = {}

    async def of(self, conn: Conn, tenant_ids: Collection[UUID]) -> dict[UUID, list[Endpoint]]:
        """The active endpoints of each tenant, as of this transaction."""
        versions = await store.versions(conn, list(tenant_ids))
        stale = [tenant for tenant, version in versions.items() if self._version(tenant) != version]
        if stale:
            await self._read(conn, stale, versions)
        return {tenant: self._known[tenant][1] for tenant in versions}

    def _version(self, tenant_id: UUID) -> UUID | None:
        known = self._known.get(tenant_id)
        return known[0] if known else None

    async def _read(self, conn: Conn, tenant_ids: list[UUID], versions: dict[UUID, UUID]) -> None:
        if len(self._known) + len(tenant_ids) > CACHED_TENANTS:
            self._known = {tenant: self._known[tenant] for tenant in versions if tenant in self._known}
        found: dict[UUID, list[Endpoint]] = {tenant: [] for tenant in tenant_ids}
        for endpoint in await store.active(conn, tenant_ids):
            found[endpoint.tenant_id].append(endpoint)
        for tenant, endpoints in found.items():
            self._known[tenant] = (versions[tenant], endpoints)
