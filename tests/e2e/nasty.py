"""Requests that try every parameter and every field of the OpenAPI document with values that tend to break things."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

Json = Any

VALUES: tuple[Json, ...] = (
    None, True, "", " ", "\x00x", "😀", "=1+1", "x" * 100_000, "USD", "USD\n", "not-a-uuid", [], [None], {}, [{}],
    "2026-02-30", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
    "00000000-0000-0000-0000-000000000000", 0, 1, -1, 0.01, 1.005, 1e-7, 9999999999.99, 2**31, 2**63, 1e300,
)  # fmt: skip
BODIES = (
    b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"amount":1e999999}', b'{"amount":NaN}', b"[" * 100_000,
    b'{"a":' * 5000, rb'{"reason":"\ud800","name":"\ud800"}', b'{"x":1,"x":2}',
)  # fmt: skip
PATH_PARTS = ("x", "%00", "%FF", "'", "..%2f", "00000000-0000-0000-0000-000000000001")
HEADER_VALUES = ("", "x" * 300, "é", "*", '"1"')

LONGEST_IN_ADDRESS = 1000
NOWHERE = "00000000-0000-0000-0000-000000000001"


class Attempt(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Spoiler:
    """Makes requests from an OpenAPI document; `ids` names things that exist by the name of their parameter."""

    def __init__(self, document: Json, ids: dict[str, str]) -> None:
        self.document = document
        self.ids = ids

    def valid(self, schema: Json, dice: random.Random) -> Json:
        """The least that a schema accepts, and sometimes one field more."""
        made, more = self._sample(schema), sorted(self._properties(schema).items())
        if more and dice.random() < 0.5:
            name, part = dice.choice(more)
            made |= {name: self._sample(part, name)}
        return made

    def attempts(self) -> Iterator[Attempt]:
        """All of them."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield from self._of_path(method.upper(), path)
                yield from self._of_parameters(method.upper(), self._real(path), operation)
                yield from self._of_body(method.upper(), self._real(path), operation)

    def _real(self, path: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: self.ids.get(found[1], NOWHERE), path)

    def _of_path(self, method: str, path: str) -> Iterator[Attempt]:
        for name in re.findall(r"{(\w+)}", path):
            for part in PATH_PARTS:
                yield Attempt(method, self._real(path.replace(f"{{{name}}}", part)), b"{}")

    def _of_parameters(self, method: str, path: str, operation: Json) -> Iterator[Attempt]:
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                for value in VALUES:
                    text = value if isinstance(value, str) else json.dumps(value)
                    yield Attempt(method, f"{path}?{parameter['name']}={quote(text[:LONGEST_IN_ADDRESS])}")
                yield Attempt(method, f"{path}?{parameter['name']}=%FF%00")
            if parameter["in"] == "header":
                for value in HEADER_VALUES:
                    yield Attempt(method, path, b"{}", ((parameter["name"], value),))

    def _of_body(self, method: str, path: str, operation: Json) -> Iterator[Attempt]:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for body in BODIES:
                yield Attempt(method, path, body)
            schema = content.get("schema")
            if schema and self._properties(schema):
                valid = self._sample(schema)
                yield Attempt(method, path, json.dumps(valid).encode())
                for body in self._spoilt(valid, schema, lambda whole: whole):
                    yield Attempt(method, path, json.dumps(body).encode())

    def _spoilt(self, valid: Json, schema: Json, wrap: Callable[[Json], Json]) -> Iterator[Json]:
        """The valid object with one field at a time spoilt, those of objects inside it too."""
        for name, part in self._properties(schema).items():
            for value in VALUES:
                yield wrap(valid | {name: value})
            inner = self._resolved(part)
            if inner.get("type") == "array" and self._properties(inner.get("items", {})):
                item = self._sample(inner["items"])
                yield from self._spoilt(item, inner["items"], lambda one, name=name: wrap(valid | {name: [one]}))  # type: ignore[misc]
            elif self._properties(inner):
                item = self._sample(inner)
                yield from self._spoilt(item, inner, lambda one, name=name: wrap(valid | {name: one}))  # type: ignore[misc]

    def _resolved(self, schema: Json) -> Json:
        """The schema itself: behind its reference, and of alternatives the first that is not null."""
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        alternatives = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
        return self._resolved(alternatives[0]) if alternatives else schema

    def _properties(self, schema: Json) -> dict[str, Json]:
        properties: dict[str, Json] = self._resolved(schema).get("properties", {})
        return properties

    def _sample(self, schema: Json, name: str = "") -> Json:
        """The least that the schema accepts, with real ids."""
        schema = self._resolved(schema)
        if name in self.ids:
            return self.ids[name]
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "array":
            return [self._sample(schema.get("items", {}), name.removesuffix("s"))]
        if "properties" in schema:
            return {key: self._sample(schema["properties"][key], key) for key in schema.get("required", ())}
        if schema.get("type") in ("number", "integer"):
            return max(1, schema.get("minimum", 1)) if schema.get("maximum", 1) >= 1 else schema["maximum"]
        return schema.get("type") == "boolean" or _text(schema)


def _text(schema: Json) -> str:
    formats = {"uuid": NOWHERE, "date": "2026-11-21", "date-time": "2026-11-21T00:00:00Z"}
    patterns = {"@": "a@example.com", "#": "#aabbcc", "A-Z]{3}": "USD"}
    if schema.get("format") in formats:
        return formats[schema["format"]]
    return next((text for part, text in patterns.items() if part in schema.get("pattern", "")), "x1")
