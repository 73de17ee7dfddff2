"""The AsyncAPI 3 document of the events, generated from the registry of types and their structs."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from shared.events import CONTENT_TYPE, Event, EventType

EXCHANGE = "arpilot.events"
REFERENCE = "#/components/schemas/{name}"

Document = dict[str, Any]


def document(event_types: Iterable[EventType[Any]], *, version: str = "1.0.0") -> Document:
    """Describe each type: its channel (the routing key), its message (a CloudEvent) and the schema of its data."""
    types = sorted(event_types, key=lambda event_type: event_type.name)
    payloads, schemas = msgspec.json.schema_components([Event, *(each.data for each in types)], ref_template=REFERENCE)
    return {
        "asyncapi": "3.0.0",
        "info": _info(version),
        "defaultContentType": CONTENT_TYPE,
        "channels": {each.name: _channel(each) for each in types},
        "operations": {f"announce.{each.name}": _operation(each) for each in types},
        "components": {
            "schemas": _numbers(schemas),
            "messages": {each.name: _message(each, data) for each, data in zip(types, payloads[1:], strict=True)},
        },
    }


def _info(version: str) -> Document:
    return {
        "title": "ARPilot events",
        "version": version,
        "description": "Every change as a CloudEvents 1.0 JSON document on the durable topic exchange "
        f"`{EXCHANGE}`; the routing key is the type. Delivered at least once: deduplicate on `id`. "
        "`sequence` is the version of the object after the change: drop what is older than what you have. "
        "Payloads only ever gain fields.",
    }


def _channel(event_type: EventType[Any]) -> Document:
    exchange = {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": event_type.name,
        "description": event_type.summary,
        "messages": {event_type.name: {"$ref": f"#/components/messages/{event_type.name}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _operation(event_type: EventType[Any]) -> Document:
    channel = f"#/channels/{event_type.name}"
    return {
        "action": "send",
        "summary": event_type.summary,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type.name}"}],
    }


def _message(event_type: EventType[Any], data: Document) -> Document:
    return {
        "name": event_type.name,
        "title": event_type.name,
        "summary": event_type.summary,
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                {"$ref": REFERENCE.format(name=Event.__name__)},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event_type.name},
                        "source": {"const": event_type.source},
                        "data": _data(event_type, data),
                    },
                },
            ]
        },
    }


def _data(event_type: EventType[Any], data: Document) -> Document:
    """The object after the change; an update also says what it changed."""
    if not event_type.name.endswith("updated"):
        return data
    changes = {
        "type": "object",
        "description": "what changed: `{field: [before, after]}`",
        "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2},
    }
    return {"allOf": [data, {"type": "object", "properties": {"changes": changes}}]}


def _numbers(schema: Any) -> Any:
    """Decimals travel as JSON numbers here (money in major units), where msgspec assumes strings."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and schema.get("format") == "decimal":
            return {**{key: value for key, value in schema.items() if key != "format"}, "type": "number"}
        return {key: _numbers(value) for key, value in schema.items()}
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_numbers(value) for value in schema]
    return schema
