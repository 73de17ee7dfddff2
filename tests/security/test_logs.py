"""No log line of a whole run holds a token or a secret, however talkative it is, in what is right and what fails."""

import asyncio
import re
from pathlib import Path

import aiohttp
import asyncpg

from shared.identity import admin
from shared.identity.scopes import AREAS
from tests import harness
from tests.harness import Client
from tests.processes import processes


async def test_no_token_and_no_secret_is_in_any_log_line(database_url: str, tmp_path: Path) -> None:
    environ = harness.environment(database_url, "local:", tmp_path, ARPILOT_LOG_LEVEL="debug")
    environ["ARPILOT_WEBHOOKS_DATABASE_URL"] = database_url
    async with aiohttp.ClientSession() as session:
        client = await a_client(database_url, session)
        with processes(environ, tmp_path, names=("webhooks",)) as running:
            client.base_url = f"http://127.0.0.1:{running['webhooks'].port}"
            secrets = await walk(client)
            await asyncio.to_thread(running["webhooks"].stop)
    lines = "".join(log.read_text() for log in tmp_path.glob("*.log"))

    assert "ready" in lines
    assert not [secret for secret in (client.key, *secrets, *harness.SECRETS.values()) if secret in lines]
    assert not re.findall(r"(?:ark_(?:live|test)_|whsec_|eyJ)[A-Za-z0-9_-]{12,}", lines)


async def a_client(database_url: str, session: aiohttp.ClientSession) -> Client:
    """A tenant's client, whose address is not known yet."""
    conn = await asyncpg.connect(database_url)
    try:
        tenant_id = await admin.create_tenant(
            conn, name="T", live=True, tier="pro", timezone="UTC", currency="USD", email="o@example.com"
        )
        key = await admin.create_key(conn, tenant_id, name="test", scopes=AREAS)
    finally:
        await conn.close()
    assert key is not None
    return Client("", key, tenant_id, session)


async def walk(client: Client) -> list[str]:
    """Use secrets well and badly; returns those that were given out."""
    await client.get(f"/v1/webhooks?api_key={client.key}")
    await client.get(f"/v1/webhooks/{client.key}")
    await client.post("/oauth/token", data={"grant_type": "client_credentials", "client_secret": client.key})
    await client.get("/v1/webhooks", headers={"Authorization": f"Bearer {client.key}x"})
    body = {"url": "http://127.0.0.1:9/", "events": ["*"], "headers": {"X-Token": "sesame-open-the-door"}}
    made = (await client.post("/v1/webhooks", json=body)).data
    await client.post(f"/v1/webhooks/{made['id']}/test")
    rotated = (await client.post(f"/v1/webhooks/{made['id']}/rotate-secret")).data
    return [made["secret"], rotated["secret"], "sesame-open-the-door"]
