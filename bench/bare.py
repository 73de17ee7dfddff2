"""The limit of reading: an aiohttp handler that returns the same bytes always, `python -m bench.bare PORT FILE`."""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def main(port: int, body: bytes) -> None:
    """Serve until killed."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{rest:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
