"""The few pages that a person sees: plain HTML, readable on a phone, no script."""

from typing import Literal

import jinja2
from aiohttp import web

State = Literal["asked", "stopped", "again"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("services.notifier.communications", "page_templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)


def unsubscribe(*, email: str, state: State) -> str:
    """The page where reminders are stopped and allowed again."""
    return _environment.get_template("unsubscribe.html").render(email=hidden(email), state=state)


def hidden(email: str) -> str:
    """An address that its owner knows again and nobody else learns."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}…@{domain}"


def html(text: str, *, status: int = 200, policy: str = CONTENT_SECURITY_POLICY) -> web.Response:
    """A page with the headers that keep it harmless."""
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
