"""A backup that has been rehearsed: dumped while in use, restored elsewhere, verified, and gone on with."""

import subprocess
from pathlib import Path
from typing import Any

import aiohttp

from shared import embedded
from tests import harness
from tests.harness import Client, System, wait_for
from tests.processes import arpilot, environment


def run(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([embedded.programs() / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def some_business(client: Client) -> str:
    """A customer who was billed and has paid a part; returns the invoice's id."""
    contact = {"contact_name": "Ada", "email": "ada@example.com"}
    customer = await client.post("/v1/customers", json={"company_name": "Engines", "contacts": [contact]})
    invoice = await client.post("/v1/invoices", json={"customer_id": customer.data["id"], "amount": 120})
    invoice_id = str(invoice.data["id"])
    paid = await client.post(f"/v1/invoices/{invoice_id}/record-payment", json={"amount": 20, "payment_method": "cash"})
    assert paid.status == 201, paid.body

    async def applied() -> bool:
        return bool((await client.get(f"/v1/invoices/{invoice_id}")).data["amount_due"] == 100)

    await wait_for(applied)
    return invoice_id


def settled(invoice: dict[str, Any]) -> dict[str, Any]:
    return {name: invoice[name] for name in ("id", "invoice_number", "amount", "amount_due", "status", "version")}


async def test_a_restored_backup_is_complete_correct_and_goes_on(
    postgres_url: str, template: str, tmp_path: Path
) -> None:
    async with (
        harness.cloned(postgres_url, template) as url,
        harness.system_over(harness.environment(url, "local:", tmp_path)) as system,
    ):
        client = await system.client()
        invoice_id = await some_business(client)
        before = (await client.get(f"/v1/invoices/{invoice_id}")).data
        run("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", f"--dbname={url}")

    async with harness.cloned(postgres_url, "template0") as restored:
        run("pg_restore", "--exit-on-error", f"--dbname={restored}", tmp_path / "dump")
        migrated = arpilot(environment(restored, "local:", tmp_path), "migrate")
        assert migrated == "Everything is up to date."
        await harness.verify_ledgers(restored)

        async with harness.system_over(harness.environment(restored, "local:", tmp_path)) as system:
            again = the_same_client(client, system)
            assert settled((await again.get(f"/v1/invoices/{invoice_id}")).data) == settled(before)
            await some_business(again)
        await harness.verify_ledgers(restored)


def the_same_client(client: Client, system: System) -> Client:
    """The key that was given out before the backup."""
    session: aiohttp.ClientSession = system.session
    return Client(system.base_url, client.key, client.tenant_id, session)
