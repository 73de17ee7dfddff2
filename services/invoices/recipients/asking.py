"""Asking the owner for a customer whose event has not arrived yet: an edge of its own, outside any transaction."""

from uuid import UUID

import msgspec

from services.invoices.recipients import store
from services.invoices.recipients.model import Customer, recipient_of
from shared.app import Runtime


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the customers service."""

    data: Customer


async def ask(runtime: Runtime, tenant_id: UUID, customer_id: UUID) -> bool:
    """Fetch a customer whose event has not arrived yet from its owner, and keep a copy; False where it is unknown.

    It must not be called within a transaction: it waits for another service.
    """
    async with runtime.database.connection() as conn:
        if await store.known(conn, tenant_id, customer_id):
            return True  # its event has just arrived
    found = await runtime.internal.get("customers", f"/internal/customers/{customer_id}", Found, tenant_id=tenant_id)
    if found is None:
        return False
    async with runtime.database.transaction() as conn:
        await store.keep(conn, recipient_of(tenant_id, found.data, found.data.version))
    return True
