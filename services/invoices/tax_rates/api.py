"""HTTP: tax rates."""

from typing import Annotated, Literal

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.invoices.patching import given
from services.invoices.tax_rates import actions, store
from services.invoices.tax_rates.errors import TaxRateArchived, TaxRateUnknown
from services.invoices.tax_rates.model import TaxRate
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.ids import uuid7
from shared.money import Rate

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]


class TaxRateCreate(Body, frozen=True, kw_only=True):
    """A new tax rate."""

    name: Name
    rate: Rate


class TaxRatePatch(Body, frozen=True, kw_only=True):
    """What to change of a tax rate."""

    name: Name | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET


class TaxRateQuery(PageQuery, frozen=True, kw_only=True):
    """Which tax rates."""

    archived: Annotated[Literal["false", "true", "any"], Meta(description="`false` by default")] = "false"


async def list_tax_rates(call: Call[None, TaxRateQuery]) -> web.StreamResponse:
    """List tax rates."""
    where = Where("tenant_id", call.caller.tenant_id)
    if call.query.archived != "any":
        where.add("(archived_at is not null) = ?", call.query.archived == "true")
    async with call.connection() as conn:
        return call.page(await store.page(conn, where, call.query))


async def create_tax_rate(call: Call[TaxRateCreate, None]) -> web.StreamResponse:
    """Create a tax rate."""
    tax_rate = TaxRate(
        id=uuid7(),
        name=call.body.name,
        rate=call.body.rate,
        archived_at=None,
        version=1,
        created_at=call.now,
        updated_at=call.now,
    )
    async with call.transaction() as conn:
        await store.insert(conn, call.caller.tenant_id, tax_rate)
        return call.created(tax_rate, version=tax_rate.version)


async def get_tax_rate(call: Call[None, None]) -> web.StreamResponse:
    """Get a tax rate."""
    async with call.connection() as conn:
        tax_rate = await actions.get(conn, call.caller.tenant_id, call.id("tax_rate_id"))
    return call.reply(tax_rate, version=tax_rate.version)


async def change_tax_rate(call: Call[TaxRatePatch, None]) -> web.StreamResponse:
    """Change a tax rate. Invoices made before keep the rate that they were made with."""
    async with call.transaction() as conn:
        tax_rate = await actions.change(
            conn,
            call.caller.tenant_id,
            call.id("tax_rate_id"),
            given(call.body),
            check_version=call.check_if_match,
            now=call.now,
        )
        return call.reply(tax_rate, version=tax_rate.version)


async def delete_tax_rate(call: Call[None, None]) -> web.StreamResponse:
    """Delete a tax rate. One that something was made with is archived instead, and no longer listed or changed."""
    async with call.transaction() as conn:
        await actions.remove(
            conn, call.caller.tenant_id, call.id("tax_rate_id"), check_version=call.check_if_match, now=call.now
        )
        return call.deleted()


UNKNOWN = (TaxRateUnknown,)
CHANGING = (TaxRateUnknown, TaxRateArchived)
ALL = "/v1/tax-rates"
ONE = "/v1/tax-rates/{tax_rate_id}"

ROUTES = (
    Route("GET", ALL, list_tax_rates, scope="invoices:read", query=TaxRateQuery, returns=TaxRate, many=True),
    Route("POST", ALL, create_tax_rate, scope="invoices:write", body=TaxRateCreate, returns=TaxRate, status=201),
    Route("GET", ONE, get_tax_rate, scope="invoices:read", returns=TaxRate, refuses=UNKNOWN),
    Route("PATCH", ONE, change_tax_rate, scope="invoices:write", body=TaxRatePatch, returns=TaxRate, refuses=CHANGING),
    Route("PUT", ONE, change_tax_rate, scope="invoices:write", body=TaxRatePatch, returns=TaxRate, refuses=CHANGING),
    Route("DELETE", ONE, delete_tax_rate, scope="invoices:write", refuses=UNKNOWN),
)
