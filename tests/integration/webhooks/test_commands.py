"""`arpilot webhooks`: listening, triggering, new encryption keys."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from services.webhooks import commands, triggering
from services.webhooks.endpoints.secrets import Keyring, new_signing_secret
from services.webhooks.listening import listen
from shared.http.outside import connected
from shared.stopping import cancel
from tests.harness import SECRETS, Client, System, wait_for
from tests.integration.webhooks.house import House, a_webhook, an_event
from tests.integration.webhooks.receiver import Receiver, respond

OLD = SECRETS["ARPILOT_ENCRYPTION_KEYS"]
NEW = f"new:{base64.b64encode(b'n' * 32).decode()}"


@asynccontextmanager
async def listening(client: Client, said: list[str], **options: object) -> AsyncIterator[None]:
    async with connected(client.base_url, client.key) as api:
        wanted = {"forward_to": None, "secret": new_signing_secret(), "patterns": ["*"], **options}
        task = asyncio.create_task(listen(api, say=said.append, **wanted))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        yield
        await cancel(task)


async def test_listening_prints_events_and_forwards_them_signed(
    house: House, client: Client, receiver: Receiver
) -> None:
    said: list[str] = []
    secret = new_signing_secret()
    receiver.behave("/hook", respond(204, b""), respond(500))

    async with listening(client, said, forward_to=receiver.url(), secret=secret):
        first, second = an_event(client.tenant_id), an_event(client.tenant_id, "invoice.paid")
        await house.announce(first)
        await receiver.wait_for(lambda: len(receiver.posts) == 1)
        await house.announce(second)
        await receiver.wait_for(lambda: len(receiver.posts) == 2)
        third = an_event(client.tenant_id)
        await house.announce(third)

        async def all_said() -> bool:
            return len(said) >= 3

        await wait_for(all_said)

    assert [post.verified(secret)["id"] for post in receiver.posts] == [
        str(event.id) for event in (first, second, third)
    ]
    assert len(said) == 3
    assert "invoice.created" in said[0]
    assert "→ 204 No Content" in said[0]
    assert "→ 500" in said[1]


async def test_listening_to_some_types_leaves_out_the_others(house: House, client: Client) -> None:
    said: list[str] = []

    async with listening(client, said, patterns=["payment.*"]):
        await house.announce(an_event(client.tenant_id), an_event(client.tenant_id, "payment.created"))

        async def heard() -> bool:
            return len(said) > 0

        await wait_for(heard)

    assert ["payment.created" in line for line in said] == [True]


async def test_a_target_that_is_away_is_said_and_does_not_end_the_listening(house: House, client: Client) -> None:
    said: list[str] = []

    async with listening(client, said, forward_to="http://127.0.0.1:1/"):
        await house.announce(an_event(client.tenant_id))

        async def heard() -> bool:
            return len(said) > 0

        await wait_for(heard)

    assert "→ Cannot connect" in said[0]


@pytest.mark.parametrize("event_type", sorted(triggering.FIXTURES))
async def test_what_is_triggered_happens(system: System, event_type: str) -> None:
    client = await system.client()
    said: list[str] = []

    async with connected(client.base_url, client.key) as api:
        await triggering.trigger(api, event_type, said.append)

    async def happened() -> bool:
        return len((await client.get(f"/v1/events?type={event_type}")).data) > 0

    await wait_for(happened)
    assert said


async def test_a_test_is_triggered_for_every_active_webhook(client: Client, receiver: Receiver) -> None:
    await a_webhook(client, receiver.url("/a"))
    await a_webhook(client, receiver.url("/b"), is_active=False)

    async with connected(client.base_url, client.key) as api:
        await triggering.trigger(api, "webhook.test", print)
    await receiver.wait_for(lambda: len(receiver.posts) == 1)

    assert receiver.posts[0].path == "/a"


async def test_what_cannot_be_triggered_is_said(client: Client) -> None:
    async with connected(client.base_url, client.key) as api:
        with pytest.raises(triggering.CannotTrigger, match=r"invoice\.created"):
            await triggering.trigger(api, "invoice.exploded", print)


async def test_after_reencryption_the_old_key_is_not_needed_any_more(
    house: House, client: Client, receiver: Receiver
) -> None:
    first = await a_webhook(client, receiver.url("/first"), headers={"X-Token": "abc"})
    await client.post(f"/v1/webhooks/{first['id']}/rotate-secret")
    await a_webhook(client, receiver.url("/second"))
    new_alone = Keyring.parse(NEW)

    await commands.reencrypt(house.database, Keyring.parse(f"{NEW},{OLD}"))

    async with house.database.connection() as conn:
        rows = await conn.fetch("select id, secret, previous_secret, headers from endpoints")
    sealed = [(row["id"], row[name]) for row in rows for name in ("secret", "previous_secret", "headers") if row[name]]
    assert len(sealed) == 4
    assert all(new_alone.open(value, endpoint.bytes) for endpoint, value in sealed)


def test_the_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("ARPILOT_DATA_DIR", str(tmp_path))
    for name in ("ARPILOT_API_URL", "ARPILOT_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    result = CliRunner().invoke(commands.webhooks_group, ["trigger", "invoice.created"])

    assert result.exit_code != 0
    assert "ARPILOT_API_KEY" in str(result.exception)
