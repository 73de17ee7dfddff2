"""What can be done with tags; whatever changes what a customer shows is announced as a change of the customer."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import UNSET

from services.customers.profiles import actions as profiles
from services.customers.profiles.errors import CustomerUnknown
from services.customers.profiles.model import Customer
from services.customers.tags import store
from services.customers.tags.errors import TagUnknown
from services.customers.tags.model import Tag, TagCreate, TagPatch
from shared.db import Conn


async def get(conn: Conn, tenant_id: UUID, tag_id: UUID, *, lock: bool = False) -> Tag:
    """One tag; raises TagUnknown."""
    tag = await store.find(conn, tenant_id, tag_id, lock=lock)
    if tag is None:
        raise TagUnknown(id=tag_id)
    return tag


async def create(conn: Conn, tenant_id: UUID, body: TagCreate, *, now: datetime) -> Tag:
    """Make a tag; raises TagNameTaken."""
    tag_id = await store.insert(conn, tenant_id, name=body.name.strip(), color=body.color, now=now)
    return await get(conn, tenant_id, tag_id)


async def update(
    conn: Conn, tenant_id: UUID, tag_id: UUID, body: TagPatch, *, now: datetime, check: Callable[[int], None]
) -> Tag:
    """Rename or recolour a tag, on all customers that carry it."""
    tag = await get(conn, tenant_id, tag_id, lock=True)
    check(tag.version)
    name = tag.name if body.name is UNSET else body.name.strip()
    color = tag.color if body.color is UNSET else body.color
    async with profiles.announcing(conn, tenant_id, tag.customer_ids, now=now):
        await store.update(conn, tenant_id, tag_id, name=name, color=color, now=now)
    return await get(conn, tenant_id, tag_id)


async def delete(conn: Conn, tenant_id: UUID, tag_id: UUID, *, now: datetime, check: Callable[[int], None]) -> None:
    """Remove a tag, and take it off all customers."""
    tag = await get(conn, tenant_id, tag_id, lock=True)
    check(tag.version)
    async with profiles.announcing(conn, tenant_id, tag.customer_ids, now=now):
        await store.delete(conn, tenant_id, tag_id)


async def assign(conn: Conn, tenant_id: UUID, tag_id: UUID, customer_ids: Sequence[UUID], *, now: datetime) -> int:
    """Hang a tag on customers; returns how many had not had it. Raises TagUnknown, CustomerUnknown."""
    return await change(conn, tenant_id, customer_ids, add=[tag_id], remove=[], now=now)


async def change(
    conn: Conn,
    tenant_id: UUID,
    customer_ids: Sequence[UUID],
    *,
    add: Sequence[UUID],
    remove: Sequence[UUID],
    now: datetime,
) -> int:
    """Hang on and take off tags; returns how many customers changed. All or nothing."""
    await _refuse_unknown_tags(conn, tenant_id, add, "add_tag_ids")
    await _refuse_unknown_tags(conn, tenant_id, remove, "remove_tag_ids")
    async with profiles.announcing(conn, tenant_id, customer_ids, now=now) as customers:
        _refuse_unknown_customers(customer_ids, customers)
        linked = await store.link(conn, tenant_id, add, customer_ids)
        unlinked = await store.unlink(conn, tenant_id, remove, customer_ids)
    return len(linked | unlinked)


async def _refuse_unknown_tags(conn: Conn, tenant_id: UUID, ids: Sequence[UUID], field: str) -> None:
    known = {row["id"] for row in await store.by_ids(conn, tenant_id, ids)}
    for index, tag_id in enumerate(ids):
        if tag_id not in known:
            raise TagUnknown(id=tag_id, field=f"{field}[{index}]")


def _refuse_unknown_customers(ids: Sequence[UUID], customers: Iterable[Customer]) -> None:
    known = {customer.id for customer in customers}
    for index, customer_id in enumerate(ids):
        if customer_id not in known:
            raise CustomerUnknown(id=customer_id, field=f"customer_ids[{index}]")
