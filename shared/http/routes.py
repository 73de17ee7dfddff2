"""A route as one row of a table: what it takes, what it gives, who may call it, and what it may refuse."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from shared.errors import Refusal

MEBIBYTE = 1024 * 1024
BODY_BYTES = MEBIBYTE
BULK_BYTES = 10 * MEBIBYTE

Handler = Callable[[Any], Awaitable[web.StreamResponse]]


class _Route(msgspec.Struct, frozen=True, kw_only=True):
    scope: str | None = None
    """`invoices:write`; every route has either a scope, or `public`, or `internal`."""
    public: bool = False
    """Answers without a token: links, pages, health."""
    internal: bool = False
    """Answers another service's token only; never routed by the gateway."""
    body: Any = None
    """Struct that the JSON body is decoded into."""
    body_optional: bool = False
    """An empty body means the struct with its defaults."""
    raw_body: bool = False
    """The handler reads `call.raw` itself (bulk calls, uploads)."""
    stream: bool = False
    """The handler reads the request's stream itself."""
    takes: tuple[str, ...] = ("application/octet-stream",)
    """Content types of a body that the handler reads itself; for the documents."""
    max_bytes: int = BODY_BYTES
    query: Any = None
    """Struct that the parameters of the address are converted into; None takes no parameter."""
    returns: Any = None
    """Struct of `data`."""
    many: bool = False
    """`data` is a list with `pagination`."""
    status: int = 200
    refuses: tuple[type[Refusal], ...] = ()
    """What this route may refuse beyond the common errors; for the documents."""
    content_type: str = "application/json"
    """What a public page or a download answers with."""
    also: tuple[str, ...] = ()
    """Content types that it answers with where a parameter says so; for the documents."""


class Route(_Route, frozen=True):
    """`Route("POST", "/v1/things", create_thing, scope="things:write", body=ThingCreate, status=201)`."""

    method: str
    path: str
    handler: Handler

    def __post_init__(self) -> None:
        ways = (self.scope is not None, self.public, self.internal)
        assert sum(ways) == 1, f"{self.method} {self.path}: has a scope, or is public, or internal"
