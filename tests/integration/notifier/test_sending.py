"""Mails from the request to the mailbox, over the whole system."""

from typing import Any

from tests.harness import Client, wait_for
from tests.integration.notifier.world import a_customer, an_invoice, template


async def sent(client: Client, communication_id: str) -> dict[str, Any]:
    """The communication once it has ended."""

    async def ended() -> dict[str, Any] | None:
        data: dict[str, Any] = (await client.get(f"/v1/communications/{communication_id}")).json.get("data", {})
        return data if data.get("status") in ("sent", "failed", "cancelled") else None

    return await wait_for(ended, seconds=15) or {}


async def test_an_invoice_that_is_sent_reaches_the_mailbox_with_its_pdf(client: Client) -> None:
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer["id"])

    answer = await client.post(
        f"/v1/invoices/{invoice['id']}?action=send", json={"template_id": await template(client)}
    )
    communication = await sent(client, answer.json["communication"]["id"])

    assert communication["status"] == "sent", communication
    assert communication["subject"] == f"Invoice {invoice['invoice_number']} from Test"
