"""HTTP: the chart of accounts."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.invoices.chart import actions, store
from services.invoices.chart.errors import (
    AccountArchived,
    AccountCodeTaken,
    AccountUnknown,
    AccountUsed,
    SystemAccount,
)
from services.invoices.chart.model import Account, AccountType
from services.invoices.patching import given
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.ids import uuid7

Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,19}\Z", description="such as `4010`")]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]


class AccountCreate(Body, frozen=True, kw_only=True):
    """A new account."""

    code: Code
    name: Name
    type: AccountType


class AccountPatch(Body, frozen=True, kw_only=True):
    """What to change of an account."""

    code: Code | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    type: AccountType | UnsetType = UNSET


class AccountQuery(PageQuery, frozen=True, kw_only=True):
    """Which accounts."""

    type: AccountType | None = None
    archived: Annotated[Literal["false", "true", "any"], Meta(description="`false` by default")] = "false"


class TenantQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account."""

    tenant_id: UUID


async def list_accounts(call: Call[None, AccountQuery]) -> web.StreamResponse:
    """List accounts. The system's own are there from the start."""
    where = Where("tenant_id", call.caller.tenant_id)
    if call.query.type is not None:
        where.add("type = ?", call.query.type)
    if call.query.archived != "any":
        where.add("(archived_at is not null) = ?", call.query.archived == "true")
    async with call.transaction() as conn:
        await store.seed(conn, call.caller.tenant_id)
        return call.page(await store.page(conn, where, call.query))


async def create_account(call: Call[AccountCreate, None]) -> web.StreamResponse:
    """Create an account, to post revenue or deposits to."""
    account = Account(
        id=uuid7(),
        code=call.body.code,
        name=call.body.name,
        type=call.body.type,
        is_system=False,
        archived_at=None,
        version=1,
        created_at=call.now,
        updated_at=call.now,
    )
    async with call.transaction() as conn:
        account = await actions.create(conn, call.caller.tenant_id, account)
        return call.created(account, version=account.version)


async def get_account(call: Call[None, None]) -> web.StreamResponse:
    """Get an account."""
    async with call.transaction() as conn:
        account = await actions.get(conn, call.caller.tenant_id, call.id("account_id"))
    return call.reply(account, version=account.version)


async def find_account(call: Call[None, TenantQuery]) -> web.StreamResponse:
    """An account for a service that was told to pay into it."""
    async with call.transaction() as conn:
        return call.reply(await actions.get(conn, call.query.tenant_id, call.id("account_id")))


async def change_account(call: Call[AccountPatch, None]) -> web.StreamResponse:
    """Change an account. The system's own may only be renamed."""
    async with call.transaction() as conn:
        account = await actions.change(
            conn,
            call.caller.tenant_id,
            call.id("account_id"),
            given(call.body),
            check_version=call.check_if_match,
            now=call.now,
        )
        return call.reply(account, version=account.version)


async def delete_account(call: Call[None, None]) -> web.StreamResponse:
    """Delete an account. One with postings is archived instead: it keeps its balance and takes no new lines."""
    async with call.transaction() as conn:
        await actions.remove(
            conn, call.caller.tenant_id, call.id("account_id"), check_version=call.check_if_match, now=call.now
        )
        return call.deleted()


UNKNOWN = (AccountUnknown,)
CHANGING = (AccountUnknown, AccountCodeTaken, AccountArchived, AccountUsed, SystemAccount)
DELETING = (AccountUnknown, SystemAccount)
ALL = "/v1/ledger/accounts"
ONE = "/v1/ledger/accounts/{account_id}"

ROUTES = (
    Route("GET", ALL, list_accounts, scope="invoices:read", query=AccountQuery, returns=Account, many=True),
    Route(
        "POST",
        ALL,
        create_account,
        scope="invoices:write",
        body=AccountCreate,
        returns=Account,
        status=201,
        refuses=(AccountCodeTaken,),
    ),
    Route("GET", ONE, get_account, scope="invoices:read", returns=Account, refuses=UNKNOWN),
    Route("PATCH", ONE, change_account, scope="invoices:write", body=AccountPatch, returns=Account, refuses=CHANGING),
    Route("PUT", ONE, change_account, scope="invoices:write", body=AccountPatch, returns=Account, refuses=CHANGING),
    Route("DELETE", ONE, delete_account, scope="invoices:write", refuses=DELETING),
    Route("GET", "/internal/accounts/{account_id}", find_account, internal=True, query=TenantQuery, returns=Account),
)
