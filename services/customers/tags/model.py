"""Tags; pure."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shared.http.bodies import Body

DEFAULT_COLOR = "#6b7280"
TagName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}\Z")]
CustomerIds = Annotated[list[UUID], Meta(min_length=1, max_length=1000)]
TagIds = Annotated[list[UUID], Meta(max_length=100)]


class CustomerTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag as a customer shows it."""

    id: UUID
    name: str
    color: str


class TagListed(msgspec.Struct, frozen=True, kw_only=True):
    """A tag and how many customers carry it."""

    id: UUID
    name: str
    color: str
    customer_count: int
    version: int
    created_at: datetime
    updated_at: datetime


class Tag(TagListed, frozen=True, kw_only=True):
    """A tag with the customers that carry it."""

    customer_ids: list[UUID]


class TagCreate(Body, frozen=True, kw_only=True):
    """A new tag."""

    name: TagName
    color: Color = DEFAULT_COLOR


class TagPatch(Body, frozen=True, kw_only=True):
    """Changes to a tag."""

    name: TagName | UnsetType = UNSET
    color: Color | UnsetType = UNSET


class TagCustomers(Body, frozen=True, kw_only=True):
    """The customers to hang a tag on, or take it off."""

    customer_ids: CustomerIds


class TagBulk(Body, frozen=True, kw_only=True):
    """Tags to hang on and take off many customers at once."""

    customer_ids: CustomerIds
    add_tag_ids: TagIds = []
    remove_tag_ids: TagIds = []


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """How many customers got the tag that had not had it."""

    assigned: int


class CustomersUpdated(msgspec.Struct, frozen=True, kw_only=True):
    """How many customers were changed."""

    customers_updated: int
