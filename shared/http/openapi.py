"""The OpenAPI 3.1 document, generated from the routes and structs that the code itself runs on."""

import inspect
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from shared.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    TooMany,
    Unauthorized,
    Unavailable,
)
from shared.http.bodies import Timezone
from shared.http.routes import Route
from shared.identity.scopes import ALL
from shared.money import Bounded, Money, major

COMMON = (BadRequest, Unauthorized, Forbidden, TooMany, Unavailable)
REF = "#/components/schemas/{name}"
MULTIPART = "multipart/form-data"
FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "format": {"type": "string"},
        "mapping": {"type": "string", "description": "a JSON object"},
    },
    "required": ["file"],
    "additionalProperties": False,
}
"""A file and what is said about it: the one form that has parts."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refused request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class PagePagination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands in its list."""

    page: int
    per_page: int
    total: int
    total_pages: int


class CursorPagination(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on."""

    start_cursor: str | None
    end_cursor: str | None
    has_next_page: bool
    has_previous_page: bool


def document(routes: Iterable[Route], *, version: str, server_url: str = "/") -> dict[str, Any]:
    """The document of all public routes; internal ones and pages for people are not in it."""
    shown = [route for route in routes if not route.internal]
    kinds = _kinds(shown)
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=schema_hook, ref_template=REF)
    by_kind = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Any] = {}
    names: dict[str, Route] = {}
    for route in shown:
        names[_operation_id(route, names)] = route
    for name, route in names.items():
        operation = _operation(route, name, by_kind)
        if links := _links(route, names):
            operation["responses"][str(route.status)]["links"] = links
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "ARPilot",
            "version": version,
            "summary": "Accounts receivable: customers, invoices, payments, ledger, webhooks.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `ark_live_…` or `ark_test_…`.",
                },
                "oauth": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {scope: scope for scope in ALL}}
                    },
                },
            },
        },
    }
    return cast("dict[str, Any]", _as_sent(described))


def _as_sent(node: Any) -> Any:
    """Schemas as the wire has them: Decimals are JSON numbers, and the end of a text is `$` where Python says `\\Z`."""
    if isinstance(node, list):
        return [_as_sent(part) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "string" and node.get("format") == "decimal":
        node = {name: value for name, value in node.items() if name != "format"} | {"type": "number"}
    if isinstance(pattern := node.get("pattern"), str):
        node = node | {"pattern": pattern.replace("\\Z", "$")}
    return {name: _as_sent(value) for name, value in node.items()}


def schema_hook(kind: type) -> dict[str, Any]:
    """JSON schema of the request types that msgspec does not know."""
    if issubclass(kind, Money):
        bounds = {"minimum": float(major(kind.MINIMUM)), "maximum": float(major(kind.MAXIMUM))}
        return {"type": "number", "multipleOf": 0.01, **bounds}
    if issubclass(kind, Bounded):
        return {"type": "number", "minimum": float(kind.MINIMUM), "maximum": float(kind.MAXIMUM)}
    if issubclass(kind, Timezone):
        return {"type": "string", "examples": ["Europe/Berlin"], "description": "IANA time zone"}
    raise NotImplementedError(kind)


def _kinds(routes: Sequence[Route]) -> list[Any]:
    named = [kind for route in routes for kind in (route.body, route.query, route.returns) if kind is not None]
    return [Problem, PagePagination, CursorPagination, *dict.fromkeys(named)]


def _operation(route: Route, operation_id: str, by_kind: dict[Any, Any]) -> dict[str, Any]:
    summary, description = _texts(route)
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "tags": [route.path.split("/")[2] if route.path.startswith("/v1/") else "other"],
        "summary": summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": {str(route.status): _answer(route, by_kind), **_refusals(route, by_kind)},
    }
    if description:
        operation["description"] = description
    if route.scope is not None:
        operation["security"] = [{"apiKey": []}, {"oauth": [route.scope]}]
        operation["x-scope"] = route.scope
    if route.body is not None:
        content = {"application/json": {"schema": by_kind[route.body]}}
        operation["requestBody"] = {"required": not route.body_optional, "content": content}
    elif route.raw_body or route.stream:
        content = {kind: {"schema": FORM} if kind == MULTIPART else {} for kind in route.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _links(route: Route, names: Mapping[str, Route]) -> dict[str, Any]:
    """What can be done next with an object that was just made: all below its own address."""
    if route.method != "POST" or route.status not in (201, 202):
        return {}
    found = {name: re.match(rf"{re.escape(route.path)}s?/{{(\w+)}}", other.path) for name, other in names.items()}
    return {
        name: {"operationId": name, "parameters": {match[1]: "$response.body#/data/id"}}
        for name, match in found.items()
        if match is not None
    }


def _operation_id(route: Route, taken: Container[str]) -> str:
    """The handler's name; with what tells it apart where several routes share a handler or a name."""
    name = route.handler.__name__
    last = [part for part in route.path.split("/") if part and not part.startswith("{")][-1]
    candidates = (
        name,
        f"{name}_{last}",
        f"{name}_by_{route.method.lower()}",
        f"{name}_{last}_by_{route.method.lower()}",
    )
    return next(candidate.replace("-", "_") for candidate in candidates if candidate.replace("-", "_") not in taken)


def _texts(route: Route) -> tuple[str, str]:
    text = inspect.getdoc(route.handler)
    assert text, f"{route.handler.__name__} needs a docstring: it is its documentation"
    summary, _, description = text.partition("\n\n")
    return " ".join(summary.split()), description


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)(?::[^}]*)?}", route.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", **_format(name)}} for name in names
    ]


def _format(name: str) -> dict[str, str]:
    return {"format": "uuid"} if name.endswith("_id") else {}


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    (_,), components = msgspec.json.schema_components([route.query], schema_hook=schema_hook, ref_template=REF)
    schema = components[route.query.__name__]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _bare(part), **_style(part)}
        for name, part in schema["properties"].items()
    ]


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be absent is not one that may be null."""
    parts = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    return parts[0] if len(parts) == 1 else {name: value for name, value in schema.items() if name != "default"}


def _style(schema: dict[str, Any]) -> dict[str, Any]:
    return {"style": "form", "explode": False} if _bare(schema).get("type") == "array" else {}


def _headers(route: Route) -> list[dict[str, Any]]:
    headers = []
    if route.method == "POST" and route.scope is not None:
        text = "Repeating the request with the same key gives the first answer again, for 24 hours."
        headers.append(_header("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255}, text))
    if _takes_if_match(route):
        text = "Refuse the change (412) unless the object still has this ETag."
        headers.append(_header("If-Match", {"type": "string"}, text))
    return headers


def _takes_if_match(route: Route) -> bool:
    return route.method in ("PATCH", "PUT", "DELETE") and "{" in route.path


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


def _answer(route: Route, by_kind: dict[Any, Any]) -> dict[str, Any]:
    if route.content_type != "application/json":
        return {"description": "The document", "content": {kind: {} for kind in (route.content_type, *route.also)}}
    data = by_kind.get(route.returns, {}) if route.returns is not None else {}
    properties: dict[str, Any] = {"data": {"type": "array", "items": data} if route.many else data}
    required = ["data"]
    if route.many:
        properties["pagination"] = {"anyOf": [by_kind[PagePagination], by_kind[CursorPagination]]}
        required.append("pagination")
    if route.method == "DELETE":
        properties, required = {"success": {"const": True}, "data": data}, ["success"]
    schema = {"type": "object", "properties": properties, "required": required}
    if route.path == "/oauth/token":
        schema = data
    content = {"application/json": {"schema": schema}, **{kind: {} for kind in route.also}}
    return {"description": "The answer", "content": content}


def _refusals(route: Route, by_kind: dict[Any, Any]) -> dict[str, Any]:
    found: list[type[Refusal]] = [*(COMMON if route.scope else (BadRequest, Unavailable)), *route.refuses]
    if "_id}" in route.path:
        found.append(NotFound)
    if route.body is not None:
        found.append(Invalid)
    if _takes_if_match(route):
        found.append(PreconditionFailed)
    if route.method == "POST":
        found += [Conflict, Invalid]
    answers: dict[str, Any] = {}
    for kind in found:
        sentence = f"`{kind.code}`: {' '.join((kind.__doc__ or '').split())}"
        answer = answers.setdefault(str(kind.status), {"description": "", "content": _problem_content(by_kind)})
        if sentence not in answer["description"]:
            answer["description"] = f"{answer['description']}\n\n{sentence}".strip()
    return answers


def _problem_content(by_kind: dict[Any, Any]) -> dict[str, Any]:
    return {"application/problem+json": {"schema": by_kind[Problem]}}
