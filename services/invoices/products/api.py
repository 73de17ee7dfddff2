"""HTTP: products."""

from typing import Annotated, Literal
from uuid import UUID

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.invoices.chart.errors import AccountUnknown
from services.invoices.patching import given
from services.invoices.products import actions, store
from services.invoices.products.errors import ProductArchived, ProductUnknown
from services.invoices.products.model import Product
from services.invoices.tax_rates.errors import TaxRateUnknown
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery, Where
from shared.http.routes import Route
from shared.ids import uuid7
from shared.money import UnitPrice

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=2000)]
Unit = Annotated[str, Meta(max_length=50)]


class ProductCreate(Body, frozen=True, kw_only=True):
    """A new product."""

    name: Name
    description: Text | None = None
    unit_price: UnitPrice | None = None
    unit: Unit | None = None
    account_id: UUID | None = None
    taxable: bool = True
    tax_rate_id: UUID | None = None


class ProductPatch(Body, frozen=True, kw_only=True):
    """What to change of a product."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    unit_price: UnitPrice | UnsetType | None = UNSET
    unit: Unit | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET
    taxable: bool | UnsetType = UNSET
    tax_rate_id: UUID | UnsetType | None = UNSET


class ProductQuery(PageQuery, frozen=True, kw_only=True):
    """Which products."""

    search: Annotated[str, Meta(max_length=200, description="part of the name")] | None = None
    archived: Annotated[Literal["false", "true", "any"], Meta(description="`false` by default")] = "false"


async def list_products(call: Call[None, ProductQuery]) -> web.StreamResponse:
    """List products."""
    where = Where("tenant_id", call.caller.tenant_id)
    if call.query.search:
        where.add("position(lower(?) in lower(name)) > 0", call.query.search)
    if call.query.archived != "any":
        where.add("(archived_at is not null) = ?", call.query.archived == "true")
    async with call.connection() as conn:
        return call.page(await store.page(conn, where, call.query))


async def create_product(call: Call[ProductCreate, None]) -> web.StreamResponse:
    """Create a product."""
    product = Product(
        id=uuid7(), **given(call.body), archived_at=None, version=1, created_at=call.now, updated_at=call.now
    )
    async with call.transaction() as conn:
        product = await actions.create(conn, call.caller.tenant_id, product)
        return call.created(product, version=product.version)


async def get_product(call: Call[None, None]) -> web.StreamResponse:
    """Get a product."""
    async with call.connection() as conn:
        product = await actions.get(conn, call.caller.tenant_id, call.id("product_id"))
    return call.reply(product, version=product.version)


async def change_product(call: Call[ProductPatch, None]) -> web.StreamResponse:
    """Change a product. Invoices made before keep what they were made with."""
    async with call.transaction() as conn:
        product = await actions.change(
            conn,
            call.caller.tenant_id,
            call.id("product_id"),
            given(call.body),
            check_version=call.check_if_match,
            now=call.now,
        )
        return call.reply(product, version=product.version)


async def delete_product(call: Call[None, None]) -> web.StreamResponse:
    """Delete a product. One that stands on an invoice is archived instead, and no longer listed or changed."""
    async with call.transaction() as conn:
        await actions.remove(
            conn, call.caller.tenant_id, call.id("product_id"), check_version=call.check_if_match, now=call.now
        )
        return call.deleted()


UNKNOWN = (ProductUnknown,)
NAMED_UNKNOWN = (AccountUnknown, TaxRateUnknown)
CHANGING = (*UNKNOWN, *NAMED_UNKNOWN, ProductArchived)
ONE = "/v1/products/{product_id}"

ROUTES = (
    Route("GET", "/v1/products", list_products, scope="invoices:read", query=ProductQuery, returns=Product, many=True),
    Route(
        "POST",
        "/v1/products",
        create_product,
        scope="invoices:write",
        body=ProductCreate,
        returns=Product,
        status=201,
        refuses=NAMED_UNKNOWN,
    ),
    Route("GET", ONE, get_product, scope="invoices:read", returns=Product, refuses=UNKNOWN),
    Route("PATCH", ONE, change_product, scope="invoices:write", body=ProductPatch, returns=Product, refuses=CHANGING),
    Route("PUT", ONE, change_product, scope="invoices:write", body=ProductPatch, returns=Product, refuses=CHANGING),
    Route("DELETE", ONE, delete_product, scope="invoices:write", refuses=UNKNOWN),
)
