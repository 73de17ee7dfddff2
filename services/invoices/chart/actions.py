"""What can be done with accounts, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from services.invoices.chart import model, store
from services.invoices.chart.errors import AccountUnknown, SystemAccount
from services.invoices.chart.model import Account
from shared.db import Conn


async def get(conn: Conn, tenant_id: UUID, account_id: UUID) -> Account:
    """One account."""
    await store.seed(conn, tenant_id)
    account = await store.find(conn, tenant_id, account_id)
    if account is None:
        raise AccountUnknown(account_id=account_id)
    return account


async def create(conn: Conn, tenant_id: UUID, account: Account) -> Account:
    """Add an account to the tenant's chart."""
    await store.seed(conn, tenant_id)
    await store.insert(conn, tenant_id, account)
    return account


async def change(
    conn: Conn,
    tenant_id: UUID,
    account_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> Account:
    """Change the named fields."""
    before = await _lock(conn, tenant_id, account_id)
    check_version(before.version)
    account = msgspec.structs.replace(before, **fields)
    model.refuse_change(before, account, is_used=await store.has_postings(conn, tenant_id, account_id))
    if account == before:
        return before
    account = msgspec.structs.replace(account, version=before.version + 1, updated_at=now)
    await store.update(conn, tenant_id, account)
    return account


async def remove(
    conn: Conn, tenant_id: UUID, account_id: UUID, *, check_version: Callable[[int], None], now: datetime
) -> None:
    """Remove it, or archive it where something names it."""
    account = await _lock(conn, tenant_id, account_id)
    check_version(account.version)
    if account.is_system:
        raise SystemAccount(code=account.code)
    if not await _is_used(conn, tenant_id, account_id):
        await store.delete(conn, tenant_id, account_id)
    elif account.archived_at is None:
        archived = msgspec.structs.replace(account, archived_at=now, updated_at=now, version=account.version + 1)
        await store.update(conn, tenant_id, archived)


async def _is_used(conn: Conn, tenant_id: UUID, account_id: UUID) -> bool:
    return await store.has_postings(conn, tenant_id, account_id) or await store.is_named(conn, tenant_id, account_id)


async def _lock(conn: Conn, tenant_id: UUID, account_id: UUID) -> Account:
    await store.seed(conn, tenant_id)
    account = await store.lock(conn, tenant_id, account_id)
    if account is None:
        raise AccountUnknown(account_id=account_id)
    return account
