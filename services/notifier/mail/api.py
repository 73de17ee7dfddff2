"""HTTP: the mails that stay on this machine, for `make run`. Where a mail server is set, these pages do not exist."""

import asyncio
import urllib.parse
from pathlib import Path
from uuid import UUID

import jinja2
from aiohttp import web

from services.notifier.communications.pages import html
from services.notifier.mail import reading
from services.notifier.mail.office import Offices
from services.notifier.mail.reading import KeptMail
from shared.errors import NotFound
from shared.http.calls import Call
from shared.http.routes import Route

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
"""A mail's HTML is anybody's: no script, no form, no picture from elsewhere, no origin of ours."""

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("services.notifier.mail", "page_templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)


async def list_mails(call: Call[None, None]) -> web.StreamResponse:
    """List the mails that stayed here, newest first."""
    directory = _directory(call)
    mails = await asyncio.to_thread(lambda: list(reading.newest(directory)))
    return html(_environment.get_template("list.html").render(mails=mails), policy=POLICY)


async def show_mail(call: Call[None, None]) -> web.StreamResponse:
    """Show one mail with its headers and attachments."""
    mail = await _mail(call)
    return html(_environment.get_template("mail.html").render(mail=mail), policy=POLICY)


async def show_body(call: Call[None, None]) -> web.StreamResponse:
    """Show a mail's HTML as a mail program would: it runs nothing and loads nothing."""
    mail = await _mail(call)
    return html(mail.html or "<p>This mail has no HTML.</p>", policy=MAIL_POLICY)


async def get_attachment(call: Call[None, None]) -> web.StreamResponse:
    """Download an attachment."""
    mail = await _mail(call)
    number = call.path("number")
    if not number.isdigit() or int(number) >= len(mail.attachments):
        raise NotFound
    part = mail.attachments[int(number)]
    filename = urllib.parse.quote(part.filename)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{filename}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return web.Response(body=part.content, content_type=part.content_type, headers=headers)


async def _mail(call: Call[None, None]) -> KeptMail:
    directory, tenant_id, mail_id = _directory(call), call.id("tenant_id"), call.id("mail_id")
    mail = await asyncio.to_thread(_find, directory, tenant_id, mail_id)
    if mail is None:
        raise NotFound
    return mail


def _find(directory: Path, tenant_id: UUID, mail_id: UUID) -> KeptMail | None:
    return reading.find(directory, tenant_id, mail_id)


def _directory(call: Call[None, None]) -> Path:
    offices = call.runtime.use(Offices)
    if offices.server is not None:
        raise NotFound
    return offices.local.directory


ONE = "/dev/mail/{tenant_id}/{mail_id}"

ROUTES = (
    Route("GET", "/dev/mail", list_mails, public=True, content_type="text/html"),
    Route("GET", ONE, show_mail, public=True, content_type="text/html"),
    Route("GET", f"{ONE}/body", show_body, public=True, content_type="text/html"),
    Route("GET", f"{ONE}/attachments/{{number}}", get_attachment, public=True, content_type="application/octet-stream"),
)
