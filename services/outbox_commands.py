"""`arpilot outbox`: what still waits to reach the bus."""

import asyncio
import os

import click

from services import catalog
from services.commands import owner_url
from shared import db

WAITING = """
    select count(*) as events, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_seconds
    from {schema}.outbox
"""


@click.group()
def outbox() -> None:
    """Events that are committed but not yet on the bus."""


@outbox.command()
def status() -> None:
    """How many events of each service wait, and for how long; a broker that is away makes them wait."""
    for service, events, oldest_seconds in asyncio.run(_waiting()):
        click.echo(
            f"{service:<10}  {events:>8} waiting" + (f", the oldest for {oldest_seconds:.0f} s" if events else "")
        )


async def _waiting() -> list[tuple[str, int, float]]:
    conn = await db.connect_once(owner_url(os.environ))
    try:
        rows = {name: await conn.fetchrow(WAITING.format(schema=name)) for name in catalog.NAMES}
    finally:
        await conn.close()
    return [(name, row["events"], row["oldest_seconds"]) for name, row in rows.items() if row]
