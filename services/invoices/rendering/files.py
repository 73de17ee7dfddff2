"""Documents as answers over HTTP."""

import urllib.parse

from aiohttp import web

PDF_TYPE = "application/pdf"


def file(content: bytes, filename: str, content_type: str) -> web.Response:
    """A file under its name, kept by nobody on the way and read as nothing else."""
    quoted = urllib.parse.quote(filename)
    headers = {
        "Content-Disposition": f"inline; filename*=UTF-8''{quoted}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(body=content, content_type=content_type, headers=headers)


def pdf_file(content: bytes, filename: str) -> web.Response:
    """A PDF."""
    return file(content, filename, PDF_TYPE)
