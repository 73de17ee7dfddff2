"""The AsyncAPI document that the registry of types gives."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import msgspec
import pytest
from jsonschema import Draft202012Validator

from shared.asyncapi import document
from shared.events import EventType


class Line(msgspec.Struct, frozen=True):
    """One line."""

    price: Decimal


class Basket(msgspec.Struct, frozen=True):
    """What somebody wants."""

    id: UUID
    lines: tuple[Line, ...]


BASKET_CREATED = EventType("basket.created", Basket, "A basket was begun.", service="shop")
BASKET_UPDATED = EventType("basket.updated", Basket, "A basket changed.", service="shop")
DOCUMENT = document([BASKET_UPDATED, BASKET_CREATED])


def test_each_type_has_a_channel_an_operation_and_a_message() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert list(DOCUMENT["channels"]) == ["basket.created", "basket.updated"]
    assert {operation["action"] for operation in DOCUMENT["operations"].values()} == {"send"}
    assert DOCUMENT["components"]["messages"]["basket.created"]["summary"] == "A basket was begun."


def test_the_channel_names_the_exchange_and_the_routing_key() -> None:
    channel = DOCUMENT["channels"]["basket.created"]

    assert channel["address"] == "basket.created"
    assert channel["bindings"]["amqp"]["exchange"]["name"] == "arpilot.events"


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


@pytest.mark.parametrize("event_type", [BASKET_CREATED, BASKET_UPDATED])
def test_a_real_event_fits_its_schema(event_type: EventType[Basket]) -> None:
    _validate(event_type, _an_event(event_type, changes={"lines": [[], [1]]}))


def test_an_event_of_another_type_does_not_fit() -> None:
    with pytest.raises(jsonschema.ValidationError, match="basket"):
        _validate(BASKET_CREATED, _an_event(BASKET_UPDATED))


def _an_event(event_type: EventType[Basket], changes: dict[str, Any] | None = None) -> Any:
    new = event_type.new(
        tenant_id=UUID(int=1),
        subject=UUID(int=2),
        sequence=1,
        data=Basket(UUID(int=2), (Line(Decimal("9.90")),)),
        changes=changes,
    )
    return msgspec.json.decode(
        new.seal(id=UUID(int=3), time=datetime(2026, 1, 1, tzinfo=UTC), traceparent=None).encode()
    )


def _validate(event_type: EventType[Basket], event: Any) -> None:
    payload = DOCUMENT["components"]["messages"][event_type.name]["payload"]
    schema = payload | {"components": DOCUMENT["components"]}
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(event)


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [reference for value in part.values() for reference in _references(value)]
    return [reference for value in part for reference in _references(value)] if isinstance(part, list) else []
