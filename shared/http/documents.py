"""What people read: `/openapi.json`, `/asyncapi.json` and the reference pages under `/docs`, which need no internet."""

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from shared.http import openapi
from shared.http.calls import JSON, encode
from shared.identity import oauth

if TYPE_CHECKING:
    from shared.app import Service

HTML = "text/html"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add(app: web.Application, documented: "Callable[[], Sequence[Service]]") -> None:
    """Serve the documents of the services that `documented` names; they are found and made when first asked for."""

    @functools.cache
    def api() -> dict[str, Any]:
        routes = tuple(route for service in documented() for route in service.routes) + oauth.ROUTES
        return openapi.document(routes, version=version())

    @functools.cache
    def events() -> dict[str, Any]:
        from shared.asyncapi import document  # only who asks for the document pays for its making

        made: dict[str, Any] = document([event for service in documented() for event in service.events])
        return made

    app.router.add_get("/openapi.json", _fixed(lambda: encode(api()), JSON))
    app.router.add_get("/asyncapi.json", _fixed(lambda: encode(events()), JSON))
    app.router.add_get("/docs", _fixed(lambda: page("reference.html", api=api()), HTML))


def version() -> str:
    """The version of this release."""
    return (Path(__file__).parents[2] / "VERSION").read_text().strip()


def page(template: str, **values: object) -> bytes:
    """Render one of our own pages."""
    return _templates().get_template(template).render(values).encode()


@functools.cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "pages_html")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["prose"] = _prose
    return made


def _prose(text: str) -> Markup:
    """A docstring's text as HTML: what stands between backticks is code."""
    return Markup(re.sub(r"(?<!`)`++([^`]++)`+", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped just before


def _fixed(make: Callable[[], bytes], content_type: str) -> Any:
    made = functools.cache(make)

    async def answer(_: web.Request) -> web.Response:
        headers = PAGE_HEADERS if content_type == HTML else None
        charset = "utf-8" if content_type == HTML else None
        return web.Response(body=made(), content_type=content_type, charset=charset, headers=headers)

    return answer
