"""The reconciliation queue over HTTP."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from services.payments.reconciliation import actions, errors, store
from services.payments.reconciliation.actions import Action
from services.payments.reconciliation.events import AccountingChange, SyncStatus
from services.payments.reconciliation.model import ChangeType
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.money import Money, major


class ChangeQuery(PageQuery, frozen=True, kw_only=True):
    """How to narrow the queue."""

    change_type: list[ChangeType] | None = None
    invoice_id: UUID | None = None
    customer_id: UUID | None = None
    sync_status: list[SyncStatus] | None = None
    approval_status: Annotated[
        Literal["approved", "waiting", "any"], Meta(description="by default only what is approved")
    ] = "approved"


class ChangesMark(Body, frozen=True, kw_only=True):
    """How the accounting system took some changes: all of them, or none is marked."""

    action: Action
    change_ids: Annotated[list[UUID], Meta(min_length=1, max_length=1000)]
    error_message: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


class ChangesMarked(msgspec.Struct, frozen=True, kw_only=True):
    updated: int
    changes: list[AccountingChange]


class ReconciliationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Above which amount write-offs and credit notes wait for approval; null: never."""

    approval_limit: Decimal | None


class ReconciliationSettingsPatch(Body, frozen=True, kw_only=True):
    approval_limit: Money | None


async def list_changes(call: Call[None, ChangeQuery]) -> web.StreamResponse:
    """List accounting changes."""
    query = call.query
    where = Where("tenant_id", call.caller.tenant_id)
    conditions: list[tuple[str, Any]] = [
        ("change_type = any(?)", query.change_type),
        ("invoice_id = ?", query.invoice_id),
        ("customer_id = ?", query.customer_id),
        ("sync_status = any(?)", query.sync_status),
        ("approval_status = ?", None if query.approval_status == "any" else query.approval_status),
    ]
    for condition, value in conditions:
        if value is not None:
            where.add(condition, value)
    async with call.connection() as conn:
        return call.page(await store.listing(conn, where, query))


async def get_change(call: Call[None, None]) -> web.StreamResponse:
    """Get one accounting change."""
    async with call.connection() as conn:
        change = await actions.get(conn, call.caller.tenant_id, call.id("change_id"))
        return call.reply(change, version=change.version)


async def mark_changes(call: Call[ChangesMark, None]) -> web.StreamResponse:
    """Mark changes as synced or failed, all or nothing; `404` names the unknown ids."""
    body = call.body
    if body.action == "mark_failed" and body.error_message is None:
        raise InvalidFields([FieldError(field="error_message", message="is required with mark_failed")])
    error = body.error_message if body.action == "mark_failed" else None
    async with call.transaction() as conn:
        marked = await actions.mark(
            conn, call.caller.tenant_id, sorted(set(body.change_ids)), body.action, error, now=call.now
        )
        return call.reply(ChangesMarked(updated=len(marked), changes=marked))


async def approve_change(call: Call[None, None]) -> web.StreamResponse:
    """Approve a change that waits because it is above the tenant's limit."""
    async with call.transaction() as conn:
        change = await actions.approve(
            conn, call.caller.tenant_id, call.id("change_id"), actor=call.caller.actor, now=call.now
        )
        return call.reply(change, version=change.version)


async def get_settings(call: Call[None, None]) -> web.StreamResponse:
    """Read the approval rule."""
    async with call.connection() as conn:
        limit = await store.approval_limit(conn, call.caller.tenant_id)
    return call.reply(_settings(limit))


async def patch_settings(call: Call[ReconciliationSettingsPatch, None]) -> web.StreamResponse:
    """Change the approval rule; it holds for changes from now on."""
    limit = None if call.body.approval_limit is None else int(call.body.approval_limit)
    async with call.transaction() as conn:
        await store.put_approval_limit(conn, call.caller.tenant_id, limit)
        return call.reply(_settings(limit))


def _settings(limit_cents: int | None) -> ReconciliationSettings:
    return ReconciliationSettings(approval_limit=None if limit_cents is None else major(limit_cents))


ROUTES = (
    Route(
        "GET",
        "/v1/reconciliation",
        list_changes,
        scope="reconciliation:read",
        query=ChangeQuery,
        returns=AccountingChange,
        many=True,
    ),
    Route(
        "POST",
        "/v1/reconciliation",
        mark_changes,
        scope="reconciliation:write",
        body=ChangesMark,
        returns=ChangesMarked,
        refuses=(errors.ChangeUnknown, errors.ChangeWaits),
    ),
    Route(
        "GET",
        "/v1/reconciliation/{change_id}",
        get_change,
        scope="reconciliation:read",
        returns=AccountingChange,
        refuses=(errors.ChangeUnknown,),
    ),
    Route(
        "POST",
        "/v1/reconciliation/{change_id}/approve",
        approve_change,
        scope="reconciliation:write",
        returns=AccountingChange,
        refuses=(errors.ChangeUnknown,),
    ),
    Route(
        "GET",
        "/v1/settings/reconciliation",
        get_settings,
        scope="reconciliation:read",
        returns=ReconciliationSettings,
    ),
    *(
        Route(
            method,
            "/v1/settings/reconciliation",
            patch_settings,
            scope="reconciliation:write",
            body=ReconciliationSettingsPatch,
            returns=ReconciliationSettings,
        )
        for method in ("PATCH", "PUT")
    ),
)
