"""The demo, fed into a whole system."""

import asyncio

from click.testing import CliRunner

from bench.demo import demo
from services.payments.imports.command import import_file
from tests.harness import Client

SMALL = ["--customers", "8", "--invoices", "120", "--seed", "7"]


async def test_the_demo_fills_a_system_once_and_leaves_a_bank_file_that_pays_invoices(
    client: Client, tmp_path: object
) -> None:
    place = ["--url", client.base_url, "--key", client.key]
    runner = CliRunner(env={"ARPILOT_DATA_DIR": str(tmp_path)})

    first = await asyncio.to_thread(runner.invoke, demo, [*SMALL, *place])
    counts = [await total(client, path) for path in ("customers", "invoices", "payments")]
    again = await asyncio.to_thread(runner.invoke, demo, [*SMALL, *place])
    imported = await asyncio.to_thread(runner.invoke, import_file, [f"{tmp_path}/demo-bank.csv", *place])

    assert (first.exit_code, again.exit_code, imported.exit_code) == (0, 0, 0), first.output + again.output
    assert counts[:2] == [8, 120]
    assert "8 customers, 120 invoices" in first.stdout
    assert "0 known before" in imported.stdout
    assert [await total(client, path) for path in ("customers", "invoices")] == [8, 120]
    assert await total(client, "credit-notes") > 0


async def total(client: Client, path: str) -> int:
    """How many there are."""
    return int((await client.get(f"/v1/{path}?per_page=1")).json["pagination"]["total"])
