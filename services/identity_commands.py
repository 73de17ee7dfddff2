"""`arpilot tenant`, `arpilot key`, `arpilot oauth-client`: who may call."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID
from zoneinfo import available_timezones

import click

from services.commands import owner_url
from shared import db
from shared.identity import admin, scopes, tiers

T = TypeVar("T")


def _with_owner(work: Callable[[admin.Owner], Awaitable[T]]) -> T:
    async def run() -> T:
        conn = await db.connect_once(owner_url(os.environ))
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


def _timezone(_: click.Context, __: click.Parameter, value: str) -> str:
    if value not in available_timezones():
        raise click.BadParameter("must be an IANA time zone such as Europe/Berlin")
    return value


def _currency(_: click.Context, __: click.Parameter, value: str) -> str:
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise click.BadParameter("must be an ISO 4217 code such as EUR")
    return value.upper()


def _scopes(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    names = value.replace(",", " ").split()
    unknown = [name for name in names if name not in scopes.ALL]
    if unknown or not names:
        raise click.BadParameter(f"unknown scope {', '.join(unknown)}; there are {', '.join(scopes.ALL)}")
    return names


_SCOPES = click.option(
    "--scopes", default=",".join(scopes.AREAS), show_default=True, callback=_scopes, help="Comma-separated scopes."
)
_NO_TENANT = "there is no tenant {}"


@click.group()
def tenant() -> None:
    """Companies that use this installation."""


@tenant.command("create")
@click.option("--name", required=True, help="Its name.")
@click.option("--live/--test", default=True, show_default=True, help="A test tenant's mails never leave.")
@click.option("--tier", type=click.Choice(tiers.ALL), default="pro", show_default=True)
@click.option("--timezone", default="UTC", show_default=True, callback=_timezone, help="Decides what is today.")
@click.option("--currency", default="USD", show_default=True, callback=_currency)
@click.option("--email", help="Where notices about the account go.")
def create_tenant(name: str, *, live: bool, tier: str, timezone: str, currency: str, email: str | None) -> None:
    """Make a tenant and print its id."""
    click.echo(
        _with_owner(
            lambda conn: admin.create_tenant(
                conn, name=name, live=live, tier=tier, timezone=timezone, currency=currency, email=email
            )
        )
    )


@tenant.command("list")
def list_tenants() -> None:
    """Print all tenants."""
    for each in _with_owner(admin.list_tenants):
        mode = "live" if each.live else "test"
        click.echo(f"{each.tenant_id}  {mode}  {each.tier:<10}  {each.currency}  {each.timezone:<20}  {each.name}")


@click.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.option("--tenant", "tenant_id", type=click.UUID, required=True, help="The tenant's id.")
@click.option("--name", default="", help="What it is for, to recognise it later.")
@_SCOPES
def create_key(tenant_id: UUID, name: str, scopes: list[str]) -> None:
    """Make a key and print it: the only time that it is shown."""
    made = _with_owner(lambda conn: admin.create_key(conn, tenant_id, name=name, scopes=scopes))
    if made is None:
        raise click.ClickException(_NO_TENANT.format(tenant_id))
    click.echo(made)


@key.command("list")
@click.option("--tenant", "tenant_id", type=click.UUID, help="Only this tenant's.")
def list_keys(tenant_id: UUID | None) -> None:
    """Print the keys, by the few characters that are kept of them."""
    for each in _with_owner(lambda conn: admin.list_keys(conn, tenant_id)):
        state = f"revoked {each.revoked_at:%Y-%m-%d %H:%M}" if each.revoked_at else "active"
        click.echo(f"{each.key_id}  {each.hint}  {state:<24}  {' '.join(each.scopes)}  {each.name}")


@key.command("revoke")
@click.argument("key_id", type=click.UUID)
def revoke_key(key_id: UUID) -> None:
    """Make a key worthless; the services refuse it within ten seconds."""
    if not _with_owner(lambda conn: admin.revoke_key(conn, key_id)):
        raise click.ClickException(f"there is no active key {key_id}")
    click.echo("Revoked.")


@click.group("oauth-client")
def oauth_client() -> None:
    """OAuth clients (client credentials grant)."""


@oauth_client.command("create")
@click.option("--tenant", "tenant_id", type=click.UUID, required=True, help="The tenant's id.")
@click.option("--name", default="", help="What it is for.")
@_SCOPES
def create_client(tenant_id: UUID, name: str, scopes: list[str]) -> None:
    """Make a client and print its id and secret: the only time that the secret is shown."""
    made = _with_owner(lambda conn: admin.create_client(conn, tenant_id, name=name, scopes=scopes))
    if made is None:
        raise click.ClickException(_NO_TENANT.format(tenant_id))
    click.echo(f"client_id      {made[0]}\nclient_secret  {made[1]}")


@oauth_client.command("revoke")
@click.argument("client_id")
def revoke_client(client_id: str) -> None:
    """Make a client and its access tokens worthless."""
    if not _with_owner(lambda conn: admin.revoke_client(conn, client_id)):
        raise click.ClickException(f"there is no active client {client_id}")
    click.echo("Revoked.")
