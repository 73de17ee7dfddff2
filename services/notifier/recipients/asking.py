"""Asking the owners about what a request names and whose event has not arrived yet; never within a transaction."""

from collections.abc import Collection
from uuid import UUID

import msgspec

from services.notifier.recipients import store
from services.notifier.recipients.model import CustomerData, InvoiceData
from shared import clock
from shared.app import Runtime


class OwnedCustomer(CustomerData, frozen=True, kw_only=True):
    """A customer as its owner answers."""

    version: int


class OwnedInvoice(InvoiceData, frozen=True, kw_only=True):
    """An invoice as its owner answers."""

    version: int


class CustomerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the customers service."""

    data: OwnedCustomer


class InvoiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the invoices service."""

    data: OwnedInvoice


async def learn_of_customers(runtime: Runtime, tenant_id: UUID, customer_ids: Collection[UUID]) -> None:
    """Fetch those that are not known here, once each."""
    async with runtime.database.connection() as conn:
        unknown = set(customer_ids) - await store.known_customers(conn, tenant_id, customer_ids)
    for customer_id in sorted(unknown):
        path = f"/internal/customers/{customer_id}"
        found = await runtime.internal.get("customers", path, CustomerAnswer, tenant_id=tenant_id)
        if found is not None:
            async with runtime.database.transaction() as conn:
                await store.save_customer(conn, tenant_id, found.data, found.data.version)


async def learn_of_invoice(runtime: Runtime, tenant_id: UUID, invoice_id: UUID) -> None:
    """Fetch an invoice that is not known here."""
    async with runtime.database.connection() as conn:
        if await store.knows_invoice(conn, tenant_id, invoice_id):
            return
    path = f"/internal/invoices/{invoice_id}"
    found = await runtime.internal.get("invoices", path, InvoiceAnswer, tenant_id=tenant_id)
    if found is not None:
        async with runtime.database.transaction() as conn:
            told = store.Told(tenant_id, found.data.version, found.data)
            await store.save_invoices(conn, [told], now=clock.now())
