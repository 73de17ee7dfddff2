"""Who may call, and how often."""

import asyncio
import base64
from uuid import UUID

import pytest

from shared.clock import now
from shared.http.client import InternalClient, ServiceAway
from shared.identity import admin, tokens
from shared.ids import uuid7
from tests.harness import SECRETS, Client, System, wait_for


async def test_without_a_token_nobody_comes_in(client: Client) -> None:
    answer = await Client(client.base_url, "", client.tenant_id, client.session).get("/v1/customers")

    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("token", ["ark_live_wrong", "nonsense", "a.b.c", "é", "ark_live_" + "x" * 5000])
async def test_a_wrong_token_is_refused(client: Client, token: str) -> None:
    client.key = token
    assert (await client.get("/v1/customers")).status == 401


async def test_a_revoked_key_is_refused_within_ten_seconds(system: System, client: Client) -> None:
    assert (await client.get("/v1/customers")).status == 200
    async with system.owner() as conn:
        (info,) = await admin.list_keys(conn, client.tenant_id)
        assert await admin.revoke_key(conn, info.key_id)

    async def refused() -> bool:
        return (await client.get("/v1/customers")).status == 401

    await wait_for(refused, seconds=10)


async def test_a_key_does_only_what_its_scopes_say(system: System, client: Client) -> None:
    reader = await system.client(client.tenant_id, scopes=("customers:read",))

    assert (await reader.get("/v1/customers")).status == 200
    refused = await reader.post("/v1/tags", json={"name": "x"})
    assert (refused.status, refused.code) == (403, "scope_missing")
    assert "customers:write" in refused.json["detail"]


async def test_the_free_tier_has_no_api(system: System) -> None:
    free = await system.client(tier="free")

    answer = await free.get("/v1/customers")

    assert (answer.status, answer.code) == (403, "tier_not_allowed")


async def test_more_than_the_tier_allows_is_told_when_to_come_back(system: System) -> None:
    client = await system.client(tier="pro")

    answers = await asyncio.gather(*(client.get("/v1/customers") for _ in range(150)))

    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert all(answer.code == "rate_limited" and answer.headers["Retry-After"] == "1" for answer in refused)
    assert all(answer.headers["RateLimit-Limit"] == "100" for answer in answers)


async def an_oauth_client(system: System, tenant_id: UUID, *scopes: str) -> tuple[str, str]:
    async with system.owner() as conn:
        made = await admin.create_client(conn, tenant_id, name="test", scopes=scopes)
    assert made is not None
    return made


async def test_an_oauth_client_gets_a_token_and_uses_it(system: System, client: Client) -> None:
    client_id, secret = await an_oauth_client(system, client.tenant_id, "customers")
    client.key = ""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}

    answer = await client.post("/oauth/token", data=form)
    assert answer.json["token_type"] == "Bearer"
    assert answer.headers["Cache-Control"] == "no-store"

    client.key = answer.json["access_token"]
    assert (await client.get("/v1/customers")).status == 200
    assert (await client.get("/v1/payments")).code == "scope_missing"


async def test_the_secret_may_come_in_http_basic_and_the_scope_be_narrower(system: System, client: Client) -> None:
    client_id, secret = await an_oauth_client(system, client.tenant_id, "customers")
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    client.key = ""

    answer = await client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "customers:read"},
        headers={"Authorization": f"Basic {basic}"},
    )

    client.key = answer.json["access_token"]
    assert (await client.get("/v1/customers")).status == 200
    assert (await client.post("/v1/tags", json={"name": "x"})).code == "scope_missing"


async def test_a_wrong_secret_scope_or_grant_gets_no_token(system: System, client: Client) -> None:
    client_id, secret = await an_oauth_client(system, client.tenant_id, "customers:read")
    client.key = ""
    good = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}

    async def code(**form: str) -> tuple[int, str]:
        answer = await client.post("/oauth/token", data=good | form)
        return answer.status, answer.code

    assert await code(client_secret="wrong") == (401, "invalid_client")
    assert await code(client_id="nobody") == (401, "invalid_client")
    assert await code(scope="customers:write") == (400, "invalid_scope")
    assert await code(grant_type="password") == (400, "unsupported_grant_type")


def claims_of(client_id: str) -> dict[str, object]:
    return {"sub": client_id, "scope": "customers:read"}


async def test_expired_foreign_and_unsigned_tokens_are_worth_nothing(system: System, client: Client) -> None:
    client_id, _ = await an_oauth_client(system, client.tenant_id, "customers:read")
    secret, claims = SECRETS["ARPILOT_SECRET_KEY"], claims_of(client_id)
    good = tokens.sign(secret, tokens.ACCESS, claims, now=now(), seconds=60)
    header, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    bad = [
        tokens.sign(secret, tokens.ACCESS, claims, now=now(), seconds=-1),
        tokens.sign("another secret that is long enough", tokens.ACCESS, claims, now=now(), seconds=60),
        tokens.sign(secret, "internal:customers", claims, now=now(), seconds=60),
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-2]}xx",
    ]

    client.key = good
    assert (await client.get("/v1/customers")).status == 200
    for token in bad:
        client.key = token
        assert (await client.get("/v1/customers")).status == 401, token


async def test_internal_routes_take_only_service_tokens(system: System, client: Client) -> None:
    path = f"/internal/customers/{client.tenant_id}?tenant_id={client.tenant_id}"
    assert (await client.get(path)).status == 401

    secret = SECRETS["ARPILOT_SECRET_KEY"]
    client.key = tokens.sign(secret, "internal:payments", {"sub": "x"}, now=now(), seconds=60)
    assert (await client.get(path)).status == 401, "made for another service"

    client.key = tokens.sign(secret, "internal:customers", {"sub": "x"}, now=now(), seconds=60)
    assert (await client.get(path)).code == "customer_not_found"
    assert (await client.get("/v1/customers")).status == 401, "an internal token is no API token"


async def test_a_service_whose_token_is_not_taken_counts_the_other_as_away(system: System) -> None:
    caller = InternalClient("payments", {"invoices": system.base_url}, "a secret of another installation, long enough")

    with pytest.raises(ServiceAway):
        await caller.get("invoices", f"/internal/invoices/{uuid7()}", dict, tenant_id=uuid7())
    await caller.close()
