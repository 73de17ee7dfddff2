"""A process that announces without end and relays, until somebody kills it. Arguments: database, bus."""

import asyncio
import sys

from shared import bus as buses
from shared import outbox
from shared.relay import Relay
from tests.integration.events.town import a_thing, open_database


async def main(dsn: str, bus_url: str) -> None:
    orders = await open_database(dsn, "orders")
    relay = Relay("orders", orders, buses.connect(bus_url))
    relaying = asyncio.create_task(relay.run(asyncio.Event()))
    while not relaying.done():
        async with orders.transaction() as conn:
            row = outbox.row(a_thing())
            await conn.execute("insert into made (event_id) values ($1)", row.event_id)
            await conn.execute(outbox.INSERT, *outbox.columns([row]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
