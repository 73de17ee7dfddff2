"""A process that commits an event and is dead before anything could be published. Argument: database."""

import asyncio
import os
import signal
import sys

from tests.integration.events.town import Town, a_thing, open_database


async def main(dsn: str) -> None:
    orders = await open_database(dsn, "orders")
    orders.on_announcement.append(lambda: os.kill(os.getpid(), signal.SIGKILL))
    await Town(dsn, orders, orders, "local:").announce(a_thing("last words"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
