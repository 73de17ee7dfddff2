"""The routes that the system has, and where ids stand in what they take: tests are generated from this, not by hand."""

import enum
import re
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, Literal
from uuid import UUID

import msgspec

from services import catalog
from shared.http.routes import Route
from shared.identity import oauth
from shared.money import Bounded, Money

Place = tuple[str | int, ...]
"""Where something stands in a body: `("line_items", 0, "product_id")`."""

ROUTES = (*(route for service in catalog.find() for route in service.routes), *oauth.ROUTES)
SCOPED = tuple(route for route in ROUTES if route.scope is not None)
PUBLIC = tuple(route for route in ROUTES if route.public)
INTERNAL = tuple(route for route in ROUTES if route.internal)

WORDS: Mapping[str, Any] = {
    "action": "publish",
    "color": "#336699",
    "currency": "USD",
    "email": "eve@example.com",
    "events": ["*"],
    "rate": 0.2,
    "url": "http://127.0.0.1:9/hook",
}
"""Values by the name of their field, where any text or number would not do."""

COMPANIONS: Mapping[str, Mapping[str, Any]] = {
    "ActionQuery": {"action": "publish"},
    "InvoiceCreate": {"line_items": [{"description": "some", "quantity": 1, "unit_price": 1}]},
    "LineCreate": {"quantity": 1, "unit_price": 1},
    "LinePatch": {"description": "some", "quantity": 1, "unit_price": 1},
    "LineCredit": {"amount": 1},
    "Replay": {"since": "2026-01-01T00:00:00Z"},
}
"""Optional fields without which an object of a type makes no sense, by the type's name."""

KINDS = {"subject": "invoice_id"}
"""What an id is of, where its field does not say so."""


def name(route: Route) -> str:
    """How a test is called after its route."""
    return f"{route.method} {route.path}"


def path_names(route: Route) -> list[str]:
    """The parameters in the path."""
    return re.findall(r"{(\w+)}", route.path)


def address(route: Route, ids: Mapping[str, str]) -> str:
    """The path with parameters filled in."""
    return re.sub(r"{(\w+)}", lambda found: ids[found[1]], route.path)


def places(kind: Any, *, above: Place = ()) -> Iterator[Place]:
    """Every place of an id in values of a type."""
    kind = unwrapped(kind)
    if kind is UUID:
        yield above
    elif is_struct(kind):
        for field, hint in typing.get_type_hints(kind).items():
            yield from places(hint, above=(*above, field))
    elif typing.get_origin(kind) in (list, tuple):
        yield from places(typing.get_args(kind)[0], above=(*above, 0))


def kind_of_id(place: Place) -> str:
    """`("delete_contact_ids", 0)` and `("contacts", 0, "id")` are both a `contact_id`."""
    words = [part for part in place if isinstance(part, str)]
    last = words[-1].removesuffix("s")
    if last in KINDS:
        return KINDS[last]
    if last == "id":
        return f"{words[-2].removesuffix('s')}_id"
    return re.sub(r"^(delete|add|remove|deposit)_", "", last)


def sample(kind: Any, ids: Mapping[str, str], *, reach: Place = (), above: Place = ()) -> Any:
    """The least value of a type that is accepted and has something at `reach`."""
    kind = unwrapped(kind)
    if is_struct(kind):
        return sample_struct(kind, ids, reach, above)
    if typing.get_origin(kind) in (list, tuple):
        item = sample(typing.get_args(kind)[0], ids, reach=reach[1:], above=(*above, 0))
        return WORDS.get(str(above[-1]), [item])
    return plain(kind, ids, above)


def sample_struct(kind: Any, ids: Mapping[str, str], reach: Place, above: Place) -> dict[str, Any]:
    """The required fields, and the one on the way."""
    hints = typing.get_type_hints(kind)
    wanted = reach[0] if reach else None
    companions = COMPANIONS.get(kind.__name__, {})
    made = {
        field.encode_name: sample(
            hints[field.name], ids, reach=reach[1:] if field.name == wanted else (), above=(*above, field.name)
        )
        for field in msgspec.structs.fields(kind)
        if field.required or field.name == wanted
    }
    return made | {name: value for name, value in companions.items() if name != wanted}


def plain(kind: Any, ids: Mapping[str, str], above: Place) -> Any:
    """A value that is no object and no list."""
    word = next((part for part in reversed(above) if isinstance(part, str)), "")
    if kind is UUID:
        return ids[kind_of_id(above)]
    if typing.get_origin(kind) is Literal:
        return typing.get_args(kind)[0]
    if word in WORDS:
        return WORDS[word]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    if isinstance(kind, type) and issubclass(kind, Money | Bounded | int | float):
        return 1
    return {date: "2999-01-01", datetime: "2999-01-01T00:00:00Z", time: "09:00:00"}.get(kind, "some")


def put(body: Any, place: Place, value: Any) -> None:
    """Set what stands at a place."""
    for part in place[:-1]:
        body = body[part]
    body[place[-1]] = value


def unwrapped(kind: Any) -> Any:
    """A type without what says that it may be absent."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return unwrapped(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part not in (types.NoneType, msgspec.UnsetType)]
        return unwrapped(inner[0])
    return kind


def is_struct(kind: Any) -> bool:
    """Whether it is an object with known fields."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
