"""`/docs/webhooks`: what a receiver has to know, with code that verifies signatures (and that our tests run)."""

import functools
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.webhooks.endpoints.health import DISABLE_AFTER
from services.webhooks.endpoints.model import EVENT_TYPES
from shared.http.calls import Call
from shared.http.documents import HTML, PAGE_HEADERS
from shared.http.routes import Route

FOLDER = Path(__file__).parent
SNIPPETS = {
    "Python, with the public package": "python_package.py",
    "Python, with nothing": "python_plain.py",
    "Node.js, with the public package": "node_package.js",
    "Node.js, with nothing": "node_plain.js",
}


async def webhooks_guide(_: Call[None, None]) -> web.StreamResponse:
    """How to receive webhooks."""
    return web.Response(body=_page(), content_type=HTML, charset="utf-8", headers=PAGE_HEADERS)


@functools.cache
def _page() -> bytes:
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    snippets = {title: (FOLDER / "snippets" / name).read_text() for title, name in SNIPPETS.items()}
    page = environment.get_template("guide.html").render(
        snippets=snippets, types=sorted(EVENT_TYPES), disable_after_days=DISABLE_AFTER.days
    )
    return page.encode()


ROUTES = (Route("GET", "/docs/webhooks", webhooks_guide, public=True, content_type=HTML),)
