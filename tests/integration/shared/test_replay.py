"""A queue that was lost with what was in it: the event log gives the service what it missed."""

import asyncio
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result

from services.events_commands import events
from shared import clock
from tests.harness import Client, System, wait_for

CUSTOMER = {"company_name": "Northwind", "contacts": [{"contact_name": "Ada", "email": "ada@example.com"}]}


async def replay(*arguments: str) -> Result:
    """As a process of its own would run it."""
    return await asyncio.to_thread(CliRunner().invoke, events, ["replay", *arguments])


async def test_what_a_service_missed_has_its_effect_and_what_it_had_has_none_again(
    rabbit_system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Client = await rabbit_system.client()
    began = clock.now() - timedelta(seconds=1)
    had, missed = [(await client.post("/v1/customers", json=CUSTOMER)).data["id"] for _ in range(2)]
    copies = "select customer_id::text from invoices.recipients where customer_id = any($1::uuid[])"
    async with rabbit_system.owner() as conn:

        async def known() -> set[str]:
            return {row["customer_id"] for row in await conn.fetch(copies, [had, missed])}

        async def both_are_known_and_logged() -> bool:
            logged = await conn.fetchval(
                "select count(*) from webhooks.events where subject = any($1::uuid[])", [had, missed]
            )
            return logged == 2 and await known() == {had, missed}

        await wait_for(both_are_known_and_logged)
        event = "select id from webhooks.events where subject = $1"
        await conn.execute(f"delete from invoices.inbox where event_id = ({event})", missed)
        await conn.execute("delete from invoices.recipients where customer_id = any($1::uuid[])", [had, missed])
        monkeypatch.setenv("ARPILOT_BUS_URL", rabbit_system.process.runtimes["invoices"].settings.bus_url)
        monkeypatch.setenv("ARPILOT_DATABASE_URL", rabbit_system.database_url)

        done = await replay("invoices", "--since", began.isoformat())
        assert done.output == "2 sent to invoices.\n"
        await wait_for(known)

        assert await known() == {missed}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("invoices", "--since", "2026-01-31T12:00:00Z"), "the bus in the process loses no event"),
        (("invoices", "--since", "yesterday"), "--since yesterday is no instant"),
        (("webhooks", "--since", "2026-01-31T12:00:00Z"), "'webhooks' is not one of"),
    ],
)
async def test_what_cannot_be_replayed_is_said(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARPILOT_BUS_URL", "local:")

    refused = await replay(*arguments)

    assert refused.exit_code != 0
    assert says in refused.output
