"""Mails from the request to the mailbox: a real mail server, every class of failure, and what tenants may set."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from pypdf import PdfReader

from services.notifier.communications import jobs
from shared import clock
from tests import harness
from tests.harness import Client, System, wait_for
from tests.integration.notifier.mailbox import Mailbox, mailbox
from tests.integration.notifier.world import a_customer, an_invoice, system_template


@asynccontextmanager
async def mailing(
    database_url: str, tmp_path: Path, *, tls: str = "starttls", login: bool = False, **more: str
) -> AsyncIterator[tuple[System, Mailbox]]:
    """A system that hands its mails to a server of the test's own."""
    scheme = {"starttls": "smtp", "implicit": "smtps", "none": "smtp+insecure"}[tls]
    async with mailbox(tmp_path, tls=tls, login=login) as box:
        environ = harness.environment(database_url, "local:", tmp_path, **(settings(box, scheme, login=login) | more))
        async with harness.system_over(environ) as system:
            yield system, box


def settings(box: Mailbox, scheme: str, *, login: bool = False) -> dict[str, str]:
    """What makes a notifier hand its mails to this server."""
    return {
        "ARPILOT_NOTIFIER_SMTP_URL": f"{scheme}://{'postman:sesame@' if login else ''}127.0.0.1:{box.port}",
        "ARPILOT_NOTIFIER_SMTP_CA_FILE": box.ca_file,
        "ARPILOT_NOTIFIER_MAIL_FROM": "invoices@sender.example",
        "ARPILOT_NOTIFIER_POLL_SECONDS": "0.05",
    }


@dataclass
class Post:
    """A system and the mail server that it hands its mails to."""

    system: System
    box: Mailbox


@pytest_asyncio.fixture(scope="module")
async def office(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Post]:
    """One for all tests of this file; each makes a tenant of its own."""
    directory = tmp_path_factory.mktemp("office")
    async with harness.cloned(postgres_url, template) as url, mailing(url, directory) as (system, box):
        yield Post(system, box)


@pytest.fixture
def post(office: Post) -> Post:
    """The same with an empty mailbox and a server in good order."""
    office.box.reset()
    return office


async def send(client: Client, invoice_id: str, **fields: Any) -> str:
    """Ask for an invoice to be sent; returns the communication's id."""
    body = {"template_id": await system_template(client), **fields}
    answer = await client.post(f"/v1/invoices/{invoice_id}?action=send", json=body)
    assert answer.status == 200, answer.body
    return str(answer.json["communication"]["id"])


async def until(client: Client, communication_id: str, *statuses: str, problem: str | None = None) -> dict[str, Any]:
    """The communication once it has one of these statuses, and that problem."""

    async def reached() -> dict[str, Any] | None:
        answer = await client.get(f"/v1/communications/{communication_id}")
        data: dict[str, Any] = answer.data if answer.status == 200 else {}
        told = data.get("problem") or {}
        return data if data.get("status") in statuses and problem in (None, told.get("code")) else None

    return await wait_for(reached) or {}


def attachment(mail: EmailMessage) -> bytes:
    (part,) = mail.iter_attachments()
    content = part.get_content()
    assert isinstance(content, bytes)
    return content


async def test_a_sent_invoice_arrives_over_tls_with_its_pdf(database_url: str, tmp_path: Path) -> None:
    async with mailing(database_url, tmp_path, login=True) as (system, box):
        client = await system.client()
        invoice = await an_invoice(client, (await a_customer(client))["id"])

        communication_id = await send(client, invoice["id"], cc_self=True)
        communication = await until(client, communication_id, "sent")

        (mail,) = box.mails
        assert box.logins == [("postman", "sesame")]
        assert box.recipients == [["kari@nordlicht.example", "owner@example.com"]]
        assert mail["Message-ID"] == f"<{communication_id}@sender.example>" == communication["message_id"]
        assert str(mail["From"]) == "Test <invoices@sender.example>"
        assert str(mail["Reply-To"]) == "Test <owner@example.com>"
        assert str(mail["To"]) == "Kari Nordmann <kari@nordlicht.example>"
        assert mail["Subject"] == f"Invoice {invoice['invoice_number']} from Test"
        assert mail.get_body(("plain",))
        assert mail.get_body(("html",))
        assert "USD 150.00" in str(mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
        text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(attachment(mail))).pages)
        assert invoice["invoice_number"] in text

        async def marked() -> Any:
            return (await client.get(f"/v1/invoices/{invoice['id']}")).data["sent_at"]

        assert await wait_for(marked)


@pytest.mark.parametrize("tls", ["implicit", "none"])
async def test_other_ways_to_the_mail_server(database_url: str, tmp_path: Path, tls: str) -> None:
    async with mailing(database_url, tmp_path, tls=tls) as (system, box):
        client = await system.client()
        invoice = await an_invoice(client, (await a_customer(client))["id"])

        await until(client, await send(client, invoice["id"]), "sent")

        assert len(box.mails) == 1


async def test_a_refused_address_fails_for_good_and_is_announced(post: Post) -> None:
    system, box = post.system, post.box
    box.answer_recipient = lambda _: "550 5.1.1 no such user"
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])

    failed = await until(client, await send(client, invoice["id"]), "failed")

    assert failed["problem"]["code"] == "smtp_550"
    assert "no such user" in failed["problem"]["reason"]
    assert failed["attempts"] == 1

    async def announced() -> bool:
        events = (await client.get("/v1/events")).data
        return any(event["type"] == "communication.failed" for event in events)

    assert await wait_for(announced)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"answer_recipient": lambda _: "451 4.7.1 greylisted, come back"}, "smtp_451"),
        ({"answer_data": lambda: "452 4.3.1 mailbox full"}, "smtp_452"),
    ],
)
async def test_a_temporary_refusal_is_tried_again_and_then_arrives_once(
    post: Post, answers: dict[str, Any], code: str
) -> None:
    system, box = post.system, post.box
    for name, answer in answers.items():
        setattr(box, name, answer)
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    communication_id = await send(client, invoice["id"])

    waiting = await until(client, communication_id, "pending", problem=code)
    box.answer_recipient, box.answer_data = lambda _: None, lambda: None
    await hurry(system)
    sent = await until(client, communication_id, "sent")

    assert waiting["next_attempt_at"] > waiting["updated_at"]
    assert (sent["attempts"], sent["problem"], len(box.mails)) == (2, None, 1)


async def hurry(system: System) -> None:
    """Let what waits for a later attempt be due now."""
    async with system.owner() as conn:
        await conn.execute("update notifier.communications set next_attempt_at = now() where status = 'pending'")


async def test_a_mail_server_that_is_away_is_a_temporary_failure(database_url: str, tmp_path: Path) -> None:
    async with mailing(database_url, tmp_path, ARPILOT_NOTIFIER_SMTP_URL="smtp://127.0.0.1:1") as (system, _):
        client = await system.client()
        invoice = await an_invoice(client, (await a_customer(client))["id"])

        await until(client, await send(client, invoice["id"]), "pending", problem="smtp_unreachable")


async def test_a_server_whose_certificate_is_not_trusted_gets_no_mail(database_url: str, tmp_path: Path) -> None:
    async with mailing(database_url, tmp_path, ARPILOT_NOTIFIER_SMTP_CA_FILE="") as (system, box):
        client = await system.client()
        invoice = await an_invoice(client, (await a_customer(client))["id"])

        await until(client, await send(client, invoice["id"]), "pending", problem="smtp_unreachable")

        assert box.mails == []


async def test_a_refused_copy_does_not_keep_the_mail_back(post: Post) -> None:
    system, box = post.system, post.box
    box.answer_recipient = lambda address: "550 no" if address == "owner@example.com" else None
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])

    sent = await until(client, await send(client, invoice["id"], cc_self=True), "sent")

    assert box.recipients == [["kari@nordlicht.example"]]
    assert sent["problem"]["code"] == "copy_refused"


async def test_the_daily_limit_keeps_the_rest_for_tomorrow(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client()
    await client.patch("/v1/settings/notifications", json={"daily_limit": 1})
    customer = await a_customer(client)
    first, second = [await an_invoice(client, customer["id"]) for _ in range(2)]

    await until(client, await send(client, first["id"]), "sent")
    waiting = await until(client, await send(client, second["id"]), "pending", problem="daily_limit")

    tomorrow = (clock.now() + timedelta(days=1)).date()
    assert waiting["next_attempt_at"] == f"{tomorrow}T00:00:00Z"
    assert len(box.mails) == 1


async def test_a_connection_lost_while_the_message_goes_is_not_tried_again(post: Post) -> None:
    system, box = post.system, post.box
    box.after_data = box.hang_up
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    communication_id = await send(client, invoice["id"])

    failed = await until(client, communication_id, "failed")
    await hurry(system)

    assert failed["problem"]["code"] == "outcome_unknown"
    assert len(box.mails) == 1


async def test_a_test_tenants_mails_never_leave_but_can_be_read(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client(live=False)
    invoice = await an_invoice(client, (await a_customer(client))["id"])

    kept = await until(client, await send(client, invoice["id"]), "sent")

    assert box.mails == []
    assert kept["held"] is True
    assert invoice["invoice_number"] in kept["text"]
    assert (
        Path(system.process.runtimes["notifier"].settings.data_dir)
        / "mail"
        / str(client.tenant_id)
        / f"{kept['id']}.eml"
    ).is_file()


async def test_sender_name_and_reply_to_are_the_tenants(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client()
    name = 'Bcc: evil@example.com "Ünï"'
    await client.patch("/v1/settings/notifications", json={"sender_name": name, "reply_to": "ar@fjord.example"})
    invoice = await an_invoice(client, (await a_customer(client))["id"])

    await until(client, await send(client, invoice["id"]), "sent")

    (mail,) = box.mails
    assert mail["From"].addresses[0].display_name == name
    assert mail["From"].addresses[0].addr_spec == "invoices@sender.example"
    assert mail["Reply-To"].addresses[0].addr_spec == "ar@fjord.example"
    assert "Bcc" not in mail


async def test_a_webhook_endpoint_that_is_gone_is_disabled_and_its_owner_is_told(post: Post) -> None:
    client = await post.system.client()
    async with TestServer(_only_410()) as receiver:
        url = str(receiver.make_url("/hook"))
        await client.post("/v1/webhooks", json={"url": url, "events": ["customer.created"]})
        await a_customer(client)

        async def told() -> bool:
            return bool(post.box.mails)

        await wait_for(told)

    (mail,) = post.box.mails
    assert mail["To"].addresses[0].addr_spec == "owner@example.com"
    assert mail["Subject"] == "A webhook endpoint was disabled"
    assert f"{url} answered that it is gone (410)" in " ".join(mail.get_content().split())


def _only_410() -> web.Application:
    async def gone(_: web.Request) -> web.Response:
        return web.Response(status=410)

    app = web.Application()
    app.add_routes([web.post("/hook", gone)])
    return app


async def test_a_scheduled_mail_follows_its_contact_and_ends_with_its_invoice(
    database_url: str, tmp_path: Path
) -> None:
    async with mailing(database_url, tmp_path) as (system, box):
        client = await system.client()
        customer = await a_customer(client)
        invoice = await an_invoice(client, customer["id"])
        at = (clock.now() + timedelta(days=3)).isoformat()
        communication_id = await send(client, invoice["id"], scheduled_date=at)
        await until(client, communication_id, "pending")

        contact = customer["contacts"][0]
        await client.patch(
            f"/v1/contacts/{contact['id']}", json={"email": "new@nordlicht.example", "contact_name": "K. N."}
        )

        async def readdressed() -> bool:
            data = (await client.get(f"/v1/communications/{communication_id}")).data
            return (data["to_email"], data["to_name"]) == ("new@nordlicht.example", "K. N.")

        assert await wait_for(readdressed)
        await client.post(f"/v1/invoices/{invoice['id']}/record-payment")
        ended = await until(client, communication_id, "cancelled")
        assert ended["cancel_reason"] == "paid"
        assert box.mails == []


async def test_a_scheduled_mail_can_be_cancelled_once(post: Post) -> None:
    system = post.system
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    at = (clock.now() + timedelta(days=3)).isoformat()
    communication_id = await send(client, invoice["id"], scheduled_date=at)
    await until(client, communication_id, "pending")

    cancelled = await client.post(f"/v1/communications/{communication_id}/cancel")
    again = await client.post(f"/v1/communications/{communication_id}/cancel")

    assert cancelled.data["status"] == again.data["status"] == "cancelled"
    assert cancelled.data["version"] == again.data["version"]


async def test_a_reminder_can_be_unsubscribed_from_and_allowed_again(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    remind = f"/v1/invoices/{invoice['id']}/remind"
    await until(client, (await client.post(remind)).json["communication"]["id"], "sent")
    url = str(box.mails[0]["List-Unsubscribe"]).strip("<>")

    async with client.session.get(url) as page:
        assert "k…@nordlicht.example" in await page.text()
    async with client.session.post(url, data={"List-Unsubscribe": "One-Click"}) as page:
        assert "Reminders are stopped" in await page.text()
    stopped = await until(client, (await client.post(remind)).json["communication"]["id"], "cancelled")
    still = await until(client, await send(client, invoice["id"]), "sent")
    async with client.session.post(url, data={"again": "yes"}) as page:
        assert "allowed again" in await page.text()
    await until(client, (await client.post(remind)).json["communication"]["id"], "sent")

    assert stopped["cancel_reason"] == "unsubscribed"
    assert still["status"] == "sent"
    assert box.mails[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_a_receipt_goes_out_where_the_tenant_wants_it(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client()
    await client.patch("/v1/settings/notifications", json={"send_receipts": True})
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer["id"])

    await client.post(f"/v1/invoices/{invoice['id']}/record-payment", json={"amount": 50})

    async def arrived() -> bool:
        return bool(box.mails)

    await wait_for(arrived)
    assert box.mails[0]["Subject"] == f"Payment received for invoice {invoice['invoice_number']}"
    assert "USD 50.00" in str(box.mails[0].get_body(("plain",)).get_content())  # type: ignore[union-attr]


async def test_what_a_dead_process_was_handing_over_is_given_up_not_sent_again(
    database_url: str, tmp_path: Path
) -> None:
    async with mailing(database_url, tmp_path) as (system, box):
        client = await system.client()
        invoice = await an_invoice(client, (await a_customer(client))["id"])
        at = (clock.now() + timedelta(days=3)).isoformat()
        lost, dropped = [await send(client, invoice["id"], scheduled_date=at) for _ in range(2)]
        await until(client, dropped, "pending")
        async with system.owner() as conn:
            await conn.execute(
                """update notifier.communications set status = 'sending', turn = gen_random_uuid(),
                       turn_until = now() - interval '1 s', next_attempt_at = null,
                       handed_over_at = case when id = $1::uuid then now() end""",
                lost,
            )

        await jobs.give_up_lost(system.process.runtimes["notifier"])
        given_up = await until(client, lost, "failed")
        await until(client, dropped, "sent")

        assert given_up["problem"]["code"] == "outcome_unknown"
        assert [str(mail["Message-ID"]) for mail in box.mails] == [f"<{dropped}@sender.example>"]


async def test_a_statement_is_mailed_with_what_is_true_when_it_goes(post: Post) -> None:
    system, box = post.system, post.box
    client = await system.client()
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer["id"])

    made = await client.post("/v1/communications", json={"kind": "statement", "customer_id": customer["id"]})
    sent = await until(client, made.data["id"], "sent")

    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(attachment(box.mails[0]))).pages)
    assert invoice["invoice_number"] in text
    assert "Its balance is USD 150.00." in sent["text"]
    unknown = await client.post("/v1/communications", json={"kind": "statement", "customer_id": str(client.tenant_id)})
    assert (unknown.status, unknown.code) == (404, "customer_not_found")


async def test_the_pages_of_kept_mails_do_not_exist_beside_a_mail_server(post: Post) -> None:
    async with post.system.session.get(f"{post.system.base_url}/dev/mail") as response:
        assert response.status == 404


async def test_a_mail_is_sent_over_rabbitmq_as_over_the_local_bus(rabbit_system: System) -> None:
    client = await rabbit_system.client()
    invoice = await an_invoice(client, (await a_customer(client))["id"])

    sent = await until(client, await send(client, invoice["id"]), "sent")

    async def marked() -> Any:
        return (await client.get(f"/v1/invoices/{invoice['id']}")).data["sent_at"]

    assert await wait_for(marked)
    assert sent["held"] is False
