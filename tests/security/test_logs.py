"""No log line of a whole run holds a token or a secret, however talkative it is, in what is right and what fails."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from shared import links
from shared.clock import now
from shared.identity import tokens
from shared.testing.gateway import gateway
from tests import harness
from tests.harness import Answer, Client, wait_for
from tests.processes import Process, arpilot, environment, processes
from tests.security.estate import furnished

SESAME = "sesame_open_the_door"
"""In everything that is secret and that we choose ourselves."""

NOWHERE = "127.0.0.1:1"
LOOKS_SECRET = re.compile(
    r"(?:(?:ark|sk)_(?:live|test)_|ars_|whsec_|eyJ)[A-Za-z0-9_-]{8,}|(?:Bearer|Basic) [A-Za-z0-9]|://[^\s:/@\"]+:[^\s/@…]+@"
)
BROKEN = {
    "customers.customers": "company_name",
    "notifier.templates": "name",
    "webhooks.endpoints": "description",
}
"""Tables, and columns that the database is made to refuse a word in, so that it complains of whole rows."""


@pytest.fixture
def environ(database_url: str, amqp_url: str, tmp_path: Path) -> dict[str, str]:
    """An installation of which every part that it needs may be reached, but for the mail server and Stripe."""
    return environment(database_url, amqp_url, tmp_path) | {
        "ARPILOT_LOG_LEVEL": "debug",
        "ARPILOT_WEBHOOKS_ALLOW_INSECURE": "true",
        "ARPILOT_NOTIFIER_SMTP_URL": f"smtp+insecure://user:{SESAME}@{NOWHERE}",
        "ARPILOT_INVOICES_PAYMENT_PROVIDER": "stripe",
        "ARPILOT_INVOICES_STRIPE_URL": f"http://{NOWHERE}",
        "ARPILOT_INVOICES_STRIPE_SECRET_KEY": f"sk_live_{SESAME}",
        "ARPILOT_INVOICES_STRIPE_WEBHOOK_SECRET": f"whsec_{SESAME}",
    }


async def test_no_token_no_secret_and_no_mail_is_in_any_log_line_of_the_five_services(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    arpilot(environ, "migrate")
    tenant = arpilot(environ, "tenant", "create", "--name", "Acme Inc.", "--tier", "enterprise")
    key = arpilot(environ, "key", "create", "--tenant", tenant)
    oauth = arpilot(environ, "oauth-client", "create", "--tenant", tenant)
    await break_tables(database_url)
    with processes(environ, tmp_path) as running:
        with gateway({name: process.port for name, process in running.items()}) as base_url:
            async with aiohttp.ClientSession() as session:
                client = Client(base_url, key, UUID(tenant), session)
                secrets = [key, *(await do_everything(client, oauth, running))]
        for process in running.values():
            assert process.stop() == 0
    lines = {name: (tmp_path / f"{name}.log").read_text() for name in running}

    assert all('"ready"' in text for text in lines.values())
    assert all("CheckViolationError" in lines[table.partition(".")[0]] for table in BROKEN), "it failed as it was to"
    whole = "".join(lines.values())
    assert not [secret for secret in (*secrets, SESAME, *harness.SECRETS.values()) if secret in whole]
    assert not LOOKS_SECRET.findall(whole)


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("BUS_URL", f"amqp://user:{SESAME}@{NOWHERE}/", "RabbitMQ is away"),
        ("CUSTOMERS_DATABASE_URL", f"postgresql://user:{SESAME}@{NOWHERE}/arpilot", ""),
        ("CUSTOMERS_DATABASE_URL", f"postgresql://user:{SESAME}@[{NOWHERE}/arpilot", ""),
        ("SECRET_KEY", "sesame", "ARPILOT_SECRET_KEY"),
        ("ENCRYPTION_KEYS", SESAME, "ARPILOT_ENCRYPTION_KEYS"),
    ],
)
async def test_what_is_wrong_with_a_setting_is_said_without_its_secret(
    environ: dict[str, str], tmp_path: Path, setting: str, value: str, complaint: str
) -> None:
    arpilot(environ, "migrate")
    log = tmp_path / "wrong.log"
    for started in a_process(environ | {f"ARPILOT_{setting}": value}, log):
        started.launch()

        async def complained() -> bool:
            return len(log.read_text()) > 50 and complaint in log.read_text()

        await wait_for(complained, seconds=60)

    assert "sesame" not in log.read_text()


def a_process(environ: dict[str, str], log: Path) -> Iterator[Process]:
    """The service of customers, killed afterwards."""
    process = Process("customers", environ, log)
    try:
        yield process
    finally:
        process.kill()


async def break_tables(database_url: str) -> None:
    """Have the database refuse what names the broken."""
    conn = await asyncpg.connect(database_url)
    try:
        for table, column in BROKEN.items():
            await conn.execute(f"alter table {table} add constraint whole check ({column} not like '%broken%')")
    finally:
        await conn.close()


async def do_everything(client: Client, oauth: str, running: dict[str, Process]) -> list[str]:
    """Use secrets well and badly; returns those that were given out."""
    owner = await furnished(client)
    secrets = await webhooks(client)
    secrets += await access_tokens(client, oauth)
    secrets += await signed_links(client, owner.ids)
    secrets += await service_tokens(client, running)
    secrets += await mails(client, owner.ids)
    await secrets_where_none_belong(client, [client.key, *secrets])
    await refused_rows(client)
    return secrets


async def webhooks(client: Client) -> list[str]:
    body = {"url": "http://127.0.0.1:9/", "events": ["*"], "headers": {"X-Token": SESAME}}
    made = (await client.post("/v1/webhooks", json=body)).data
    await client.post(f"/v1/webhooks/{made['id']}/test")
    rotated = (await client.post(f"/v1/webhooks/{made['id']}/rotate-secret")).data
    return [made["secret"], rotated["secret"]]


async def access_tokens(client: Client, oauth: str) -> list[str]:
    client_id, secret = re.findall(r"arc_\w+|ars_[\w-]+", oauth)
    nobody = replace(client, key="")
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    given: str = (await nobody.post("/oauth/token", data=form)).json["access_token"]
    assert (await replace(client, key=given).get("/v1/invoices")).status == 200
    await nobody.post("/oauth/token", data=form | {"client_secret": secret + "x"})
    await nobody.post(
        "/oauth/token", headers={"Authorization": f"Basic {SESAME}"}, data="grant_type=client_credentials"
    )
    await replace(client, key=given + "x").get("/v1/invoices")
    await replace(client, key=client.key + "x").get("/v1/invoices")
    return [secret, given, given.rpartition(".")[2]]


async def signed_links(client: Client, ids: dict[str, str]) -> list[str]:
    path = f"/v1/invoices/{ids['invoice_id']}"
    await client.post(f"{path}?action=generate_pdf")
    file = (await client.get(f"{path}/pdf-link")).data["url"].rpartition("/")[2]
    pay = (await client.get(f"{path}/payment-link")).data["url"].rpartition("/")[2]
    secret_key = harness.SECRETS["ARPILOT_SECRET_KEY"]
    stop = links.sign(secret_key, "unsubscribe", client.tenant_id, UUID(ids["communication_id"]))
    assert (await client.get(f"/files/{file}")).status == 200
    for address in (f"/pay/{pay}", f"/pay/{pay}/pdf", f"/unsubscribe/{stop}"):
        assert (await client.get(address)).status == 200
        await client.get(address.replace(pay, pay[:-1]).replace(stop, stop[:-1]))
    assert (await client.post(f"/pay/{pay}/checkout")).status == 503
    await client.post(f"/unsubscribe/{stop}")
    await client.post("/providers/stripe", data=b"{}", headers={"Stripe-Signature": f"t=1,v1={SESAME}"})
    return [file[:-1], pay[:-1], stop[:-1]]


async def service_tokens(client: Client, running: dict[str, Process]) -> list[str]:
    """As services talk to each other, past the gateway."""
    secret_key = harness.SECRETS["ARPILOT_SECRET_KEY"]
    token = tokens.sign(secret_key, "internal:invoices", {"sub": "payments"}, now=now(), seconds=60)
    inside = replace(client, key=token, base_url=f"http://127.0.0.1:{running['invoices'].port}")
    assert (await inside.post("/internal/applications", json={"applications": []})).status == 200
    await inside.post("/internal/applications", json={"applications": [SESAME]})
    await replace(inside, key=token + "x").post("/internal/applications", json={})
    return [token, token.rpartition(".")[2]]


async def mails(client: Client, ids: dict[str, str]) -> list[str]:
    """One that no server takes, and one whose template is refused."""
    words = {"subject": f"S {SESAME}", "html": f"<p>{SESAME}</p>", "text": SESAME}
    template = (await client.post("/v1/templates", json={"name": "Mine too", **words})).data
    await client.post(f"/v1/invoices/{ids['invoice_id']}/send", json={"template_id": template["id"]})
    await client.post("/v1/templates", json={"name": "Wrong", **words, "text": f"{{{{ {SESAME} }}}}"})

    async def tried() -> Any:
        rows = (await client.get(f"/v1/communications?invoice_id={ids['invoice_id']}")).data
        return [row for row in rows if row["attempts"]]

    await wait_for(tried, seconds=30)
    return []


async def secrets_where_none_belong(client: Client, secrets: list[str]) -> None:
    """In addresses, in the request's id, in bodies that are refused."""
    for secret in secrets:
        await client.get("/v1/invoices", params={"search": secret, "api_key": secret})
        await client.get("/v1/customers", headers={"X-Request-Id": secret[:128], "traceparent": secret})
        for area in ("invoices", "customers", "payments", "webhooks", "communications"):
            await client.get(f"/v1/{area}/{secret}")
            await client.post(f"/v1/{area}", json={secret: secret})


async def refused_rows(client: Client) -> None:
    """Rows that the database refuses, with everything that is in them."""
    contact = {"contact_name": "Ada", "email": f"{SESAME}@example.com"}
    words = {"subject": SESAME, "html": f"<p>{SESAME}\n{SESAME}</p>", "text": SESAME}
    refused: list[Answer] = [
        await client.post("/v1/customers", json={"company_name": "broken\n" + SESAME, "contacts": [contact]}),
        await client.post("/v1/templates", json={"name": "broken", **words}),
        await client.post(
            "/v1/webhooks",
            json={"url": f"http://127.0.0.1:9/{SESAME}", "events": ["*"], "description": f"broken {SESAME}"},
        ),
    ]
    assert {answer.status for answer in refused} == {500}
