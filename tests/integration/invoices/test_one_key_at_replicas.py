"""One Idempotency-Key that reaches several replicas at once: what one of them has committed the others must see."""

import asyncio
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.issuing import actions, model, store
from services.invoices.issuing.requests import InvoiceCreate
from services.invoices.issuing.store import Kept, Making
from services.invoices.settlement.model import Moment
from shared import clock
from shared.http import idempotency
from shared.http.bodies import convert_item
from shared.identity.callers import Caller
from tests.harness import Client, System
from tests.integration.invoices.scenes import a_customer

REPLICAS = 6
KEYS = 400
KNOWN = "select exists (select from idempotency_keys where tenant_id = $1 and key = $2)"


async def test_one_key_makes_one_invoice_whichever_replica_gets_it(system: System, client: Client) -> None:
    customer_id = UUID((await a_customer(client))["id"])
    connections = [await asyncpg.connect(system.database_url) for _ in range(REPLICAS)]
    for conn in connections:
        await conn.execute("set search_path = invoices, identity")

    await asyncio.gather(*(_ask_for_all(conn, client.tenant_id, customer_id) for conn in connections))

    made = await connections[0].fetchval("select count(*) from invoices where tenant_id = $1", client.tenant_id)
    for conn in connections:
        await conn.close()
    assert made == KEYS


async def _ask_for_all(conn: "asyncpg.Connection[asyncpg.Record]", tenant_id: UUID, customer_id: UUID) -> None:
    body = convert_item({"customer_id": str(customer_id), "amount": 1}, InvoiceCreate)
    facts = await store.load_facts(conn, tenant_id, actions.names([body]))
    moment = Moment(now=clock.now(), today=clock.now().date())
    for number in range(KEYS):
        making = actions.making(model.new_invoice(tenant_id, body, facts, moment=moment), facts, moment=moment)
        await _insist(conn, tenant_id, making, key=str(number))


async def _insist(conn: "asyncpg.Connection[asyncpg.Record]", tenant_id: UUID, making: Making, *, key: str) -> None:
    """As a client that repeats its request until the key has an answer."""
    caller = Caller(
        tenant_id=tenant_id,
        tenant_name="Test",
        live=True,
        tier="enterprise",
        timezone="UTC",
        currency="USD",
        actor="key:test",
        rights=frozenset(),
    )
    attempt = idempotency.Attempt(caller=caller, route="POST /v1/invoices", key=key, fingerprint=b"the same")
    arguments = store.arguments([msgspec.structs.replace(making, kept=Kept(attempt=attempt, body=b"{}"))])
    while True:
        made = await conn.fetchrow(store.CREATE, *arguments)
        assert made is not None
        if made["refusal"] is None or await conn.fetchval(KNOWN, tenant_id, key):
            return
