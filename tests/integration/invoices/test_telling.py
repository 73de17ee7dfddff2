"""Sending, emailing and reminding: the part that invoices play, up to the note that the mail went out."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import an_invoice, the_invoice


async def a_template(client: Client) -> str:
    """A template that invoices are sent by."""
    template_id: str = (await client.get("/v1/templates")).data[0]["id"]
    return template_id


async def test_sending_a_draft_issues_it_and_queues_a_message(client: Client) -> None:
    draft = await an_invoice(client, status="draft")
    body = {"template_id": await a_template(client), "cc_self": True}

    answer = await client.post(f"/v1/invoices/{draft['id']}/send", json=body)

    assert answer.status == 200
    assert answer.data["status"] == "pending"
    communication = answer.json["communication"]
    assert communication["status"] == "pending"
    assert datetime.fromisoformat(communication["scheduled_for"]) <= datetime.now(UTC)


async def test_the_action_form_sends_too_and_the_invoice_knows_when_it_was_sent(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"template_id": await a_template(client)}

    answer = await client.post(f"/v1/invoices/{invoice['id']}?action=send", json=body)

    assert answer.status == 200, answer.body

    async def sent() -> Any:
        return (await the_invoice(client, invoice["id"]))["sent_at"]

    assert await wait_for(sent)

    async def announced() -> bool:
        events = (await client.get("/v1/events?limit=100")).data
        return any(event["type"] == "invoice.sent" for event in events)

    assert await wait_for(announced)


async def test_a_message_may_wait_for_its_day(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"template_id": await a_template(client), "scheduled_date": "2999-01-01T09:00:00+01:00"}

    answer = await client.post(f"/v1/invoices/{invoice['id']}/send", json=body)

    assert answer.json["communication"]["scheduled_for"] == "2999-01-01T08:00:00Z"
    assert (await the_invoice(client, invoice["id"]))["sent_at"] is None


async def test_the_document_can_be_emailed_and_the_customer_reminded(client: Client) -> None:
    invoice = await an_invoice(client)

    for action in ("email", "remind"):
        answer = await client.post(f"/v1/invoices/{invoice['id']}/{action}")
        assert answer.status == 200, answer.body
        assert answer.json["communication"]["id"]


async def test_sending_needs_a_template_that_there_is(client: Client) -> None:
    path = f"/v1/invoices/{(await an_invoice(client))['id']}/send"

    unknown = await client.post(path, json={"template_id": str(uuid4())})
    missing = await client.post(path, json={})
    no_time = await client.post(path, json={"template_id": str(uuid4()), "scheduled_date": "tomorrow"})

    assert (unknown.status, unknown.code, unknown.fields) == (404, "template_not_found", {"template_id"})
    assert (missing.status, missing.fields) == (422, {"template_id"})
    assert (no_time.status, no_time.fields) == (422, {"scheduled_date"})


async def test_a_cancelled_invoice_is_not_sent(client: Client) -> None:
    invoice = await an_invoice(client, status="cancelled")

    answer = await client.post(f"/v1/invoices/{invoice['id']}/send", json={"template_id": await a_template(client)})

    assert (answer.status, answer.code) == (409, "invoice_cancelled")


async def test_nobody_is_written_to_without_an_address(client: Client, system: System) -> None:
    invoice = await an_invoice(client)
    async with system.owner() as conn:
        await conn.execute("update invoices.recipients set email = null where customer_id = $1", invoice["customer_id"])

    answer = await client.post(f"/v1/invoices/{invoice['id']}/email")

    assert (answer.status, answer.code) == (409, "customer_has_no_email")


async def test_a_message_beyond_the_end_of_the_calendar_is_refused(client: Client) -> None:
    invoice = await an_invoice(client)
    body = {"template_id": await a_template(client), "scheduled_date": "9999-12-31T23:59:59-10:00"}

    answer = await client.post(f"/v1/invoices/{invoice['id']}/send", json=body)

    assert (answer.status, answer.code, answer.fields) == (422, "validation_failed", {"scheduled_date"})
