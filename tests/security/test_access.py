"""Who may call what: every route against every scope and tier, generated from the table of routes."""

import asyncio
import re
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.http.routes import Route
from shared.identity import admin, tiers
from shared.identity.scopes import ALL, AREAS, expand
from tests.harness import Answer, Client, System
from tests.security import surface
from tests.security.surface import INTERNAL, PUBLIC, SCOPED

AT_ONCE = 8
OPEN = {
    "GET /dev/mail",
    "GET /dev/mail/{tenant_id}/{mail_id}",
    "GET /dev/mail/{tenant_id}/{mail_id}/attachments/{number}",
    "GET /dev/mail/{tenant_id}/{mail_id}/body",
    "GET /docs/webhooks",
    "GET /files/{token}",
    "GET /pay/{token}",
    "GET /pay/{token}/pdf",
    "GET /pay/{token}/sandbox/{checkout_id}",
    "GET /unsubscribe/{token}",
    "POST /oauth/token",
    "POST /pay/{token}/checkout",
    "POST /pay/{token}/sandbox/{checkout_id}",
    "POST /providers/stripe",
    "POST /unsubscribe/{token}",
}
"""What answers without a token. Whoever adds to it has to say so here."""


async def ask(client: Client, routes: tuple[Route, ...]) -> dict[str, Answer]:
    """The answers of all routes, about things that nobody has."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(route: Route) -> tuple[str, Answer]:
        ids = {name: str(uuid4()) for name in surface.path_names(route)}
        async with places:
            return surface.name(route), await client.request(route.method, surface.address(route, ids))

    return dict(await asyncio.gather(*(one(route) for route in routes)))


def let_in(answers: dict[str, Answer]) -> set[str]:
    """Which of them were answered for another reason than who asks; fails on what is no answer at all."""
    assert not {name: answer for name, answer in answers.items() if answer.status >= 500}
    return {name for name, answer in answers.items() if answer.status not in (401, 403)}


def within(scope: str) -> set[str]:
    """The routes that a scope is for."""
    return {surface.name(route) for route in SCOPED if route.scope in expand([scope])}


@pytest.mark.parametrize("tier", tiers.ALL)
@pytest.mark.parametrize("scope", ALL)
async def test_a_scope_opens_its_own_routes_and_no_other_where_the_tier_opens_any(
    system: System, scope: str, tier: str
) -> None:
    client = await system.client(scopes=(scope,), tier=tier)
    mine = within(scope) if tier in tiers.WITH_API else set()

    answers = await ask(client, SCOPED)

    assert let_in(answers) == mine
    refused = {answer.code for name, answer in answers.items() if name not in mine}
    assert refused == {"scope_missing" if tier in tiers.WITH_API else "tier_not_allowed"}


@pytest.mark.parametrize("scope", ALL)
async def test_an_access_token_opens_what_was_asked_for_and_not_all_that_its_client_may(
    system: System, client: Client, scope: str
) -> None:
    async with system.owner() as conn:
        made = await admin.create_client(conn, client.tenant_id, name="test", scopes=AREAS)
    assert made is not None
    form = {"grant_type": "client_credentials", "client_id": made[0], "client_secret": made[1], "scope": scope}
    token = (await replace(client, key="").post("/oauth/token", data=form)).json["access_token"]

    assert let_in(await ask(replace(client, key=token), SCOPED)) == within(scope)


@pytest.mark.parametrize("scope", ["", "*", "admin", "invoices:admin", "Invoices", "customers:read customers:write"])
async def test_a_scope_that_there_is_not_opens_nothing(system: System, scope: str) -> None:
    answers = await ask(await system.client(scopes=(scope,)), SCOPED)

    assert {answer.code for answer in answers.values()} == {"scope_missing"}


async def test_the_tiers_are_those_that_the_table_of_tenants_takes(system: System) -> None:
    async with system.owner() as conn:
        rule = await conn.fetchval(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = 'tenants_tier_check'"
        )

    assert tuple(re.findall(r"'(\w+)'", rule)) == tiers.ALL


async def test_without_a_token_every_route_is_closed_but_those_meant_to_be_open(system: System) -> None:
    nobody = Client(system.base_url, "", (await system.client()).tenant_id, system.session)

    answers = await ask(nobody, (*SCOPED, *INTERNAL))

    assert {answer.status for answer in answers.values()} == {401}
    assert {surface.name(route) for route in PUBLIC} == OPEN


async def test_no_key_of_a_tenant_opens_what_services_say_to_each_other(client: Client) -> None:
    answers = await ask(client, INTERNAL)

    assert {answer.status for answer in answers.values()} == {401}
