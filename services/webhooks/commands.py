"""`arpilot webhooks`: events on a developer's machine, events on demand, and new encryption keys."""

import asyncio
import os
from contextlib import suppress

import click

from services.webhooks.endpoints import actions
from services.webhooks.endpoints.secrets import CannotOpen, Keyring, new_signing_secret
from services.webhooks.endpoints.store import Key
from services.webhooks.listening import listen
from services.webhooks.triggering import CannotTrigger, trigger
from shared import db, migrate
from shared.config import Settings, WrongSetting, load
from shared.http.outside import connected, place

_URL = click.option("--url", help="Where ARPilot is; default: ARPILOT_API_URL, or the one running from this directory.")
_KEY = click.option("--key", help="API key; default: ARPILOT_API_KEY, or that of the demo tenant.")


@click.group("webhooks")
def webhooks_group() -> None:
    """Webhooks while developing, and their secrets."""


@webhooks_group.command("listen")
@click.option("--forward-to", metavar="URL", help="Post each event there, signed, such as http://localhost:3000/hook.")
@click.option("--events", "patterns", multiple=True, default=["*"], help="Types or patterns; may be repeated.")
@click.option("--secret", help="Sign with this whsec_… instead of one made for this session.")
@_URL
@_KEY
def listen_command(
    forward_to: str | None, patterns: tuple[str, ...], secret: str | None, url: str | None, key: str | None
) -> None:
    """Print events as they happen, and forward them to this machine without a public URL."""
    where = place(url, key, os.environ)
    secret = secret or new_signing_secret()
    click.echo(f"Listening to {where[0]}; the signing secret of this session is {secret} (Ctrl-C stops)")
    with suppress(KeyboardInterrupt):
        asyncio.run(_listen(where, forward_to, secret, patterns))


async def _listen(where: tuple[str, str], forward_to: str | None, secret: str, patterns: tuple[str, ...]) -> None:
    async with connected(*where) as api:
        await listen(api, forward_to=forward_to, secret=secret, patterns=patterns, say=click.echo)


@webhooks_group.command("trigger")
@click.argument("event_type", metavar="TYPE")
@_URL
@_KEY
def trigger_command(event_type: str, url: str | None, key: str | None) -> None:
    """Make an event happen, such as invoice.created. It makes real objects: use a test tenant."""
    try:
        asyncio.run(_trigger(place(url, key, os.environ), event_type))
    except CannotTrigger as error:
        raise click.ClickException(str(error)) from None


async def _trigger(where: tuple[str, str], event_type: str) -> None:
    async with connected(*where) as api:
        await trigger(api, event_type, click.echo)


@webhooks_group.command("reencrypt")
def reencrypt_command() -> None:
    """Encrypt all secrets under the first of ARPILOT_ENCRYPTION_KEYS; afterwards the others may be removed."""
    settings = load(Settings, "ARPILOT_")
    try:
        asyncio.run(_reencrypt(settings))
    except CannotOpen as error:
        raise click.ClickException(f"a secret does not open: {error}") from None
    click.echo("All secrets of webhooks are encrypted under the first key.")


async def _reencrypt(settings: Settings) -> None:
    own = os.environ.get("ARPILOT_WEBHOOKS_DATABASE_URL")
    dsn = own or settings.database_url
    if dsn is None:
        raise WrongSetting("ARPILOT_WEBHOOKS_DATABASE_URL is not set: PostgreSQL as the service's own role.")
    role = None if own else migrate.role_of("webhooks")
    database = await db.connect(dsn, service="webhooks", role=role, pool_size=1, statement_timeout_seconds=30)
    try:
        await reencrypt(database, Keyring.parse(settings.encryption_keys))
    finally:
        await database.close()


async def reencrypt(database: db.Database, keyring: Keyring) -> None:
    """Go through all endpoints, some hundred in a transaction."""
    last: Key | None = (actions.NOBODY, actions.NOBODY)
    while last is not None:
        async with database.transaction() as conn:
            last = await actions.reseal(conn, keyring, last)
