"""Money is on an invoice once or not at all, whoever dies or is away in the middle of a match."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from shared.identity import admin
from shared.identity.scopes import AREAS
from tests import harness
from tests.faults.intercepted import GoBetween, Killable, free_port, go_between
from tests.harness import Client, wait_for
from tests.integration.payments.book import a_customer, a_payment, an_invoice, due, manual, payment, settled


@dataclass
class Scene:
    """A killable system, the go-between before its invoices service, and a client."""

    system: Killable
    between: GoBetween
    client: Client
    database_url: str

    async def kill_and_restart(self) -> None:
        await self.system.kill()
        await self.system.start()

    async def execute(self, statement: str) -> None:
        """Change rows behind the services' backs."""
        conn = await asyncpg.connect(self.database_url)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    async def applications(self) -> int:
        """How often the invoices service has put money on an invoice, less how often it took it off."""
        conn = await asyncpg.connect(self.database_url)
        try:
            count: int = await conn.fetchval("select count(*) from invoices.applications where status = 'applied'")
        finally:
            await conn.close()
        return count


@pytest_asyncio.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with go_between() as (between, url), aiohttp.ClientSession() as session:
        environ = harness.environment(database_url, "local:", tmp_path, ARPILOT_INVOICES_URL=url)
        system = Killable(environ, free_port())
        between.target = system.base_url
        await system.start()
        yield Scene(system, between, await _client(database_url, system.base_url, session), database_url)
        await system.stop()
        await harness.verify_ledgers(database_url)


async def _client(database_url: str, base_url: str, session: aiohttp.ClientSession) -> Client:
    conn = await asyncpg.connect(database_url)
    try:
        tenant_id = await admin.create_tenant(
            conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD", email="o@example.com"
        )
        key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    finally:
        await conn.close()
    assert key is not None
    return Client(base_url, key, tenant_id, session)


async def ask(client: Client, made: dict[str, Any], invoice_id: object) -> int | None:
    """Match or unmatch; None where nobody lived to answer."""
    try:
        return (await client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": invoice_id})).status
    except aiohttp.ClientError:
        return None


@pytest.mark.parametrize("moment", ["before_next", "after_next"])
async def test_a_kill_in_the_middle_of_a_match_neither_loses_nor_doubles_money(scene: Scene, moment: str) -> None:
    """Before the command arrives nothing is applied yet; after it, the answer is lost. Both end matched, once."""
    await manual(scene.client)
    owed = await an_invoice(scene.client, await a_customer(scene.client), 100)
    made = await a_payment(scene.client, 80)
    setattr(scene.between, moment, scene.system.kill)

    assert await ask(scene.client, made, owed["id"]) is None
    await scene.system.start()
    paid = await settled(scene.client, made, "matched", seconds=60)

    assert len(paid["allocations"]) == 1
    assert await due(scene.client, owed) == 20
    assert await scene.applications() == 1


async def test_a_kill_in_the_middle_of_an_unmatch_takes_the_money_off_once(scene: Scene) -> None:
    await manual(scene.client)
    owed = await an_invoice(scene.client, await a_customer(scene.client), 100)
    made = await a_payment(scene.client, 80)
    await ask(scene.client, made, owed["id"])
    scene.between.after_next = scene.system.kill

    assert await ask(scene.client, made, None) is None
    await scene.system.start()
    free = await settled(scene.client, made, "unmatched", seconds=60)

    assert (free["allocations"], free["unapplied_amount"]) == ([], 80)
    assert await due(scene.client, owed) == 100
    assert await scene.applications() == 0


async def test_kills_all_through_cash_application_leave_every_payment_matched_once(scene: Scene) -> None:
    customer = await a_customer(scene.client)
    owed = [await an_invoice(scene.client, customer, 100 + place) for place in range(12)]
    scene.between.closed = True
    rows = [
        {"amount": 100 + place, "payment_date": "2026-11-20", "payer_reference": one["invoice_number"]}
        for place, one in enumerate(owed)
    ]
    made = (await scene.client.post("/v1/payments/bulk", json=rows)).data
    await scene.kill_and_restart()
    scene.between.closed, scene.between.after_next = False, scene.system.kill

    async def is_killed() -> bool:
        return scene.system.process is not None and scene.system.process.returncode is not None

    await wait_for(is_killed, seconds=60)
    await scene.system.start()
    found = [await settled(scene.client, one, "matched", seconds=60) for one in made]

    assert [len(one["allocations"]) for one in found] == [1] * 12
    assert await scene.applications() == 12
    assert {await due(scene.client, one) for one in owed} == {0}


async def test_with_invoices_away_a_match_is_pending_and_completes_by_itself(scene: Scene) -> None:
    await manual(scene.client)
    owed = await an_invoice(scene.client, await a_customer(scene.client), 100)
    other = await a_payment(scene.client, 1)
    await ask(scene.client, other, owed["id"])
    made = await a_payment(scene.client, 80)
    scene.between.closed = True

    answer = await scene.client.patch(f"/v1/payments/{made['id']}", json={"invoice_id": owed["id"]})
    waiting = await payment(scene.client, made)
    scene.between.closed = False
    paid = await settled(scene.client, made, "matched", seconds=60)

    assert (answer.status, answer.data["match_status"]) == (200, "pending")
    assert (waiting["status"], waiting["applied_amount"]) == ("unmatched", 0)
    assert paid["applied_amount"] == 80
    assert await due(scene.client, owed) == 19


async def test_a_match_that_was_asked_for_under_a_clock_that_was_ahead_completes(scene: Scene) -> None:
    await manual(scene.client)
    owed = await an_invoice(scene.client, await a_customer(scene.client), 100)
    await ask(scene.client, await a_payment(scene.client, 1), owed["id"])
    made = await a_payment(scene.client, 80)
    scene.between.closed = True
    await ask(scene.client, made, owed["id"])
    await scene.execute(
        "update payments.allocations set updated_at = now() + interval '1 hour' where state = 'pending'"
    )
    scene.between.closed = False

    await settled(scene.client, made, "matched", seconds=60)

    assert await due(scene.client, owed) == 19


async def test_a_match_undone_while_invoices_is_away_is_never_applied(scene: Scene) -> None:
    await manual(scene.client)
    owed = await an_invoice(scene.client, await a_customer(scene.client), 100)
    other = await a_payment(scene.client, 1)
    await ask(scene.client, other, owed["id"])
    made = await a_payment(scene.client, 80)
    scene.between.closed = True
    await ask(scene.client, made, owed["id"])

    await ask(scene.client, made, None)
    scene.between.closed = False
    free = await settled(scene.client, made, "unmatched", seconds=60)

    assert free["unapplied_amount"] == 80
    assert await due(scene.client, owed) == 99
