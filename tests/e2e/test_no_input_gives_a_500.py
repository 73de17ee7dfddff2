"""Whatever a client sends, the system answers it or refuses it.

Two go over the generated OpenAPI document, for a bounded time, against the whole system: schemathesis, and a plain walk
that spoils one field of a valid request at a time. One object of each kind is made beforehand, so that what they send
reaches further than "not found".
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from yarl import URL

from services import catalog
from tests.e2e.nasty import Attempt, Spoiler
from tests.e2e.real_ids import REAL_IDS
from tests.harness import Client, System, wait_for
from tests.integration.invoices.scenes import a_credit_note, a_customer, a_payment, an_invoice, made

SECONDS = 45
"""What each gets; with starting and the last requests both together stay below two minutes."""

AT_ONCE = 6

ROOT = Path(__file__).parents[2]
HOOKS = "tests.e2e.real_ids"

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def one_of_each(client: Client) -> dict[str, str]:
    """Path parameters that name something that exists."""
    customer = await a_customer(client)
    lines = [{"description": "Work", "quantity": 2, "unit_price": 50}]
    invoice = await an_invoice(client, customer_id=customer["id"], line_items=lines)
    paid = await an_invoice(client, customer_id=customer["id"])
    planned = await an_invoice(client, customer_id=customer["id"])
    parts = [{"due_date": "2999-01-01", "amount": 100}]
    posted: dict[str, tuple[str, dict[str, Any]]] = {
        "product_id": ("/v1/products", {"name": "Consulting"}),
        "tax_rate_id": ("/v1/tax-rates", {"name": "VAT", "rate": 0.2}),
        "account_id": ("/v1/ledger/accounts", {"code": "4010", "name": "Services", "type": "income"}),
        "tag_id": ("/v1/tags", {"name": "Important"}),
        "dispute_id": ("/v1/disputes", {"invoice_id": paid["id"], "reason": "Late", "amount": 1}),
        "plan_id": ("/v1/payment-plans", {"invoice_ids": [planned["id"]], "instalments": parts}),
        "webhook_id": ("/v1/webhooks", {"url": "http://127.0.0.1:9/hook", "is_active": False}),
        "template_id": ("/v1/templates", {"name": "Mine", "subject": "Hello", "html": "<p>Hi</p>", "text": "Hi"}),
        "pause_id": ("/v1/dunning-pauses", {"invoice_id": invoice["id"]}),
    }
    ids = {name: made(await client.post(path, json=body))["id"] for name, (path, body) in posted.items()}
    payment = await a_payment(client, paid["id"], 60)
    note = await a_credit_note(client, paid["id"])
    sent = await client.post(f"/v1/invoices/{invoice['id']}/send", json={"template_id": ids["template_id"]})
    entries = (await client.get("/v1/ledger/entries")).data
    changes = await wait_for(lambda: rows(client, "/v1/reconciliation"))
    return ids | {
        "customer_id": customer["id"],
        "contact_id": customer["contacts"][0]["id"],
        "invoice_id": invoice["id"],
        "payment_id": payment["id"],
        "credit_note_id": note["id"],
        "entry_id": entries[0]["id"],
        "change_id": changes[0]["id"],
        "communication_id": sent.json["communication"]["id"],
    }


async def rows(client: Client, path: str) -> list[dict[str, Any]]:
    """The first rows of a list."""
    found: list[dict[str, Any]] = (await client.get(path)).data
    return found


def configuration(parameters: dict[str, str]) -> str:
    """What schemathesis reads: which path parameters to use."""
    lines = [f'"path.{name}" = {json.dumps(value)}' for name, value in parameters.items()]
    return "\n".join(["[parameters]", *lines, ""])


async def schemathesis(client: Client, directory: Path, ids: dict[str, str], config: str, *options: str) -> str:
    """Let it go over the document of a system, in which these ids exist; returns what it says, empty if all is well."""
    file = directory / "schemathesis.toml"
    file.write_text(config)
    process = await asyncio.create_subprocess_exec(
        str(SCHEMATHESIS),
        f"--config-file={file}",
        "run",
        f"{client.base_url}/openapi.json",
        f"--header=Authorization: Bearer {client.key}",
        *options,
        "--workers=1",  # Python 3.11 reads syntax trees wrongly in two threads (python/cpython#106905)
        "--request-timeout=30",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
        "--suppress-health-check=all",
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT), REAL_IDS: json.dumps(ids)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return "" if process.returncode == 0 else output.decode(errors="replace")[-20_000:] or "it failed"


async def test_no_input_gives_a_500(client: Client, tmp_path: Path) -> None:
    ids = await one_of_each(client)

    findings = await schemathesis(
        client,
        tmp_path,
        ids,
        configuration(ids),
        "--checks=not_a_server_error",
        f"--max-time={SECONDS}",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=20",
    )

    assert not findings, findings


async def test_no_spoilt_field_gives_a_500(system: System, client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    attempts = list(Spoiler(document, await one_of_each(client)).attempts())
    random.Random(20261121).shuffle(attempts)
    deletes = [attempt for attempt in attempts if attempt.method == "DELETE"]
    others = [attempt for attempt in attempts if attempt.method != "DELETE"]

    failed = await failures(client, others, seconds=SECONDS * 0.8)
    failed += await failures(client, deletes, seconds=SECONDS * 0.2)

    assert len(attempts) > 10_000
    assert not failed, failed[:10]
    await wait_for(lambda: is_handed_on(system))
    assert not await given_up(system, client)


async def failures(client: Client, attempts: list[Attempt], *, seconds: float) -> list[tuple[Attempt, int, bytes]]:
    """Send as many as there is time for, several at once; which of them the system failed at."""
    queue = iter(attempts)
    deadline = time.monotonic() + seconds
    failed: list[tuple[Attempt, int, bytes]] = []

    async def work() -> None:
        for attempt in queue:
            if time.monotonic() > deadline:
                return
            status, body = await send(client, attempt)
            if status >= 500:
                failed.append((attempt, status, body))

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return failed


async def is_handed_on(system: System) -> bool:
    """Whether every event has left the outboxes."""
    async with system.owner() as conn:
        return not any([await conn.fetchval(f"select count(*) from {name}.outbox") for name in catalog.NAMES])


async def given_up(system: System, client: Client) -> list[tuple[str, str, str]]:
    """Events that a service could not handle: what was accepted at the door must not break anybody behind it."""
    async with system.owner() as conn:
        return [
            (name, row["type"], row["reason"])
            for name in catalog.NAMES
            for row in await conn.fetch(
                f"select type, reason from {name}.dead_events where tenant_id = $1", client.tenant_id
            )
        ]


async def send(client: Client, attempt: Attempt) -> tuple[int, bytes]:
    """Send it as it is: the path is encoded already."""
    headers = {"Authorization": f"Bearer {client.key}", "Content-Type": "application/json"} | dict(attempt.headers)
    url = URL(client.base_url + attempt.path, encoded=True)
    async with client.session.request(
        attempt.method, url, data=attempt.body, headers=headers, allow_redirects=False
    ) as response:
        return response.status, await response.read()
