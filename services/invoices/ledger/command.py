"""`arpilot ledger`: whether the books are right."""

import asyncio
import os

import asyncpg
import click

from services.commands import owner_url
from services.invoices.ledger.verify import Finding, findings, unapplied_findings
from shared import db

PATIENCE = 10
"""How often unapplied cash is looked at, with half a second between, while events may still be on their way."""


@click.group("ledger")
def ledger_group() -> None:
    """The general ledger."""


@ledger_group.command("verify")
def verify() -> None:
    """Check the invariants of the books (docs/accounting.md) over all tenants; fails when one does not hold."""
    found = asyncio.run(_verify())
    for finding in found:
        click.echo(f"{finding.check}: tenant {finding.tenant_id}, {finding.what}, off by {finding.off}")
    if found:
        raise click.ClickException(f"the books are wrong in {len(found)} places")
    click.echo("The books are right.")


async def _verify() -> list[Finding]:
    conn = await db.connect_once(owner_url(os.environ))
    try:
        return [*await findings(conn), *await _unapplied(conn)]
    finally:
        await conn.close()


async def _unapplied(conn: "asyncpg.Connection[asyncpg.Record]") -> list[Finding]:
    """What stays wrong although the events on their way had time to arrive."""
    for _ in range(PATIENCE):
        found = await unapplied_findings(conn)
        if not found:
            return []
        await asyncio.sleep(0.5)
    return found
