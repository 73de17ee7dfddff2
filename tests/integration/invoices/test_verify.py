"""`arpilot ledger verify` finds what is wrong with the books, and says so."""

import asyncio
import os
import sys

from services.invoices.ledger.verify import findings, unapplied_findings
from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import a_customer, an_invoice


async def verify(database_url: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        "ledger",
        "verify",
        env=os.environ | {"ARPILOT_DATABASE_URL": database_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_books_that_are_right_are_said_to_be(database_url: str) -> None:
    code, output = await verify(database_url)

    assert (code, output) == (0, "The books are right.\n")


async def test_what_is_wrong_is_named_with_its_tenant_and_by_how_much(client: Client, system: System) -> None:
    invoice = await an_invoice(client)
    async with system.owner() as conn:
        undone = conn.transaction()
        await undone.start()
        await conn.execute(
            "update invoices.invoices set amount_due_cents = 9000, external_payment_cents = 1000 where id = $1",
            invoice["id"],
        )
        found = await findings(conn)
        await undone.rollback()

    (wrong,) = [finding for finding in found if finding.tenant_id == client.tenant_id]
    assert wrong.check == "accounts receivable differ from what is due"
    assert (wrong.what, wrong.off) == (invoice["id"], 1000)


async def test_unapplied_cash_agrees_with_payments_and_credits_once_all_events_have_arrived(
    client: Client, system: System
) -> None:
    customer = (await a_customer(client))["id"]
    invoice = await an_invoice(client, customer_id=customer)
    await client.post(f"/v1/invoices/{invoice['id']}/record-payment", json={"amount": 130})
    credited = await an_invoice(client, customer_id=customer, amount_due=0)
    await client.post(f"/v1/invoices/{credited['id']}/credit-notes", json={"reason": "returned", "amount": 20})

    async def agrees() -> bool:
        async with system.owner() as conn:
            found = await unapplied_findings(conn)
        return client.tenant_id not in {finding.tenant_id for finding in found}

    assert await wait_for(agrees)
