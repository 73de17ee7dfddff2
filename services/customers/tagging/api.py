"""The tags API."""

from aiohttp import web

from services.customers.profiles.errors import CustomerUnknown
from services.customers.tagging import actions
from services.customers.tags import store
from services.customers.tags.errors import TagNameTaken, TagUnknown
from services.customers.tags.model import (
    Assigned,
    CustomersUpdated,
    Tag,
    TagBulk,
    TagCreate,
    TagCustomers,
    TagListed,
    TagPatch,
)
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import Route


class TagQuery(PageQuery, frozen=True, kw_only=True):
    """Sort by `created_at` or `name`."""


async def list_tags(call: Call[None, TagQuery]) -> web.StreamResponse:
    """List tags with the number of their customers."""
    async with call.connection() as conn:
        return call.page(await store.list_page(conn, call.caller.tenant_id, call.query))


async def create_tag(call: Call[TagCreate, None]) -> web.StreamResponse:
    """Make a tag. Names are unique, whatever their capitals."""
    async with call.transaction() as conn:
        tag = await actions.create(conn, call.caller.tenant_id, call.body, now=call.now)
        return call.created(tag, version=tag.version)


async def get_tag(call: Call[None, None]) -> web.StreamResponse:
    """Get a tag with the ids of its customers."""
    async with call.connection() as conn:
        tag = await actions.get(conn, call.caller.tenant_id, call.id("tag_id"))
        return call.reply(tag, version=tag.version)


async def update_tag(call: Call[TagPatch, None]) -> web.StreamResponse:
    """Rename or recolour a tag."""
    async with call.transaction() as conn:
        tag = await actions.update(
            conn, call.caller.tenant_id, call.id("tag_id"), call.body, now=call.now, check=call.check_if_match
        )
        return call.reply(tag, version=tag.version)


async def delete_tag(call: Call[None, None]) -> web.StreamResponse:
    """Delete a tag; its customers stay."""
    async with call.transaction() as conn:
        await actions.delete(conn, call.caller.tenant_id, call.id("tag_id"), now=call.now, check=call.check_if_match)
        return call.deleted()


async def assign_tag(call: Call[TagCustomers, None]) -> web.StreamResponse:
    """Hang a tag on customers; answers how many had not had it."""
    async with call.transaction() as conn:
        await actions.get(conn, call.caller.tenant_id, call.id("tag_id"))
        assigned = await actions.assign(
            conn, call.caller.tenant_id, call.id("tag_id"), call.body.customer_ids, now=call.now
        )
        return call.answer({"assigned": assigned, "data": Assigned(assigned=assigned)})


async def remove_tag(call: Call[TagCustomers, None]) -> web.StreamResponse:
    """Take a tag off customers."""
    async with call.transaction() as conn:
        tag_id = call.id("tag_id")
        await actions.get(conn, call.caller.tenant_id, tag_id)
        await actions.change(conn, call.caller.tenant_id, call.body.customer_ids, add=[], remove=[tag_id], now=call.now)
        return call.deleted()


async def change_tags_in_bulk(call: Call[TagBulk, None]) -> web.StreamResponse:
    """Hang tags on and take tags off many customers at once, all or nothing."""
    async with call.transaction() as conn:
        updated = await actions.change(
            conn,
            call.caller.tenant_id,
            call.body.customer_ids,
            add=call.body.add_tag_ids,
            remove=call.body.remove_tag_ids,
            now=call.now,
        )
        return call.answer({"customers_updated": updated, "data": CustomersUpdated(customers_updated=updated)})


ROUTES = (
    Route("GET", "/v1/tags", list_tags, scope="customers:read", query=TagQuery, returns=TagListed, many=True),
    Route(
        "POST",
        "/v1/tags",
        create_tag,
        scope="customers:write",
        body=TagCreate,
        returns=Tag,
        status=201,
        refuses=(TagNameTaken,),
    ),
    Route(
        "POST",
        "/v1/tags/bulk",
        change_tags_in_bulk,
        scope="customers:write",
        body=TagBulk,
        returns=CustomersUpdated,
        refuses=(TagUnknown, CustomerUnknown),
    ),
    Route("GET", "/v1/tags/{tag_id}", get_tag, scope="customers:read", returns=Tag, refuses=(TagUnknown,)),
    *(
        Route(
            method,
            "/v1/tags/{tag_id}",
            update_tag,
            scope="customers:write",
            body=TagPatch,
            returns=Tag,
            refuses=(TagUnknown, TagNameTaken),
        )
        for method in ("PATCH", "PUT")
    ),
    Route("DELETE", "/v1/tags/{tag_id}", delete_tag, scope="customers:write", refuses=(TagUnknown,)),
    Route(
        "POST",
        "/v1/tags/{tag_id}/customers",
        assign_tag,
        scope="customers:write",
        body=TagCustomers,
        returns=Assigned,
        refuses=(TagUnknown, CustomerUnknown),
    ),
    Route(
        "DELETE",
        "/v1/tags/{tag_id}/customers",
        remove_tag,
        scope="customers:write",
        body=TagCustomers,
        refuses=(TagUnknown, CustomerUnknown),
    ),
)
