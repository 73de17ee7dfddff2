"""`arpilot`: run the services, and what operators do beside that."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.config import Settings, WrongSetting, describe, load, misspelt
from shared.logs import configure
from shared.processes import StartError

if TYPE_CHECKING:
    from shared.app import Running, Service

from services import catalog
from services.commands import GROUPS, LazyGroup, owner_url, services_url


@click.group(cls=LazyGroup, lazy=GROUPS)
@click.version_option(Path(__file__).parents[1].joinpath("VERSION").read_text().strip(), prog_name="arpilot")
def arpilot() -> None:
    """Self-hosted accounts receivable. Settings come from ARPILOT_… variables; `arpilot config` lists them."""


@arpilot.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(["all", *catalog.NAMES]))
def run(names: tuple[str, ...]) -> None:
    """Run all services in this process, or only those that are named.

    `run all` needs nothing prepared: what is not set it provides itself (an embedded database, secrets, a demo
    tenant) and keeps in ARPILOT_DATA_DIR.
    """
    if "all" in names:
        _run_all()
    else:
        _serve(names, os.environ)


def _run_all() -> None:
    from services import local  # the embedded database is for this command only

    with local.environment(os.environ) as environ:
        _migrate(environ)
        _serve(catalog.NAMES, environ, greet=True)


def _serve(names: tuple[str, ...], environ: Mapping[str, str], *, greet: bool = False) -> None:
    import uvloop

    from shared.app import serve

    services = catalog.find(names)
    settings = _settings(services, environ)
    configure(log_format=settings.log_format, log_level=settings.log_level)

    async def started(process: "Running") -> None:
        if greet:
            await _greet(settings, process.port)

    uvloop.run(serve(services, settings, environ, started=started, documented=catalog.find))


def _settings(services: "list[Service]", environ: Mapping[str, str]) -> Settings:
    settings = load(Settings, "ARPILOT_", environ)
    for service in services:
        config = load(service.config, f"ARPILOT_{service.name.upper()}_", environ)
        if not (config.database_url or settings.database_url):
            raise WrongSetting(
                f"ARPILOT_{service.name.upper()}_DATABASE_URL is not set: {describe(service.config)['database_url']}."
            )
    for sentence in misspelt(_variables(services), environ):
        click.echo(f"warning: {sentence}", err=True)
    return settings


def _variables(services: "list[Service]") -> list[str]:
    own = [
        f"ARPILOT_{service.name.upper()}_{name.upper()}"
        for service in services
        for name in service.config.__struct_fields__
    ]
    return [f"ARPILOT_{name.upper()}" for name in Settings.__struct_fields__] + own


def _migrate(environ: Mapping[str, str]) -> int:
    """Apply what is missing; a quick look first, since the usual start finds nothing to do."""
    from shared import migrate

    dsn = owner_url(environ)
    services = catalog.find()
    if not asyncio.run(_anything_pending(dsn, services)):
        return 0
    logins = {s.name: password for s in services if (password := migrate.password_of(services_url(s.name, environ)))}
    return migrate.apply(dsn, {service.name: service.migrations for service in services}, logins)


async def _anything_pending(dsn: str, services: "list[Service]") -> bool:
    from shared import db, migrate

    conn = await db.connect_once(dsn)
    try:
        if await migrate.pending(conn, "identity", migrate.IDENTITY):
            return True
        return any([await migrate.pending(conn, service.name, service.migrations) for service in services])
    finally:
        await conn.close()


@arpilot.command("migrate")
def migrate_command() -> None:
    """Bring all schemas up to date, create the services' roles and, on RabbitMQ, their queues.

    Safe to repeat and to start several times at once. With the queues there before the first service starts, none
    misses an event that another announces meanwhile.
    """
    from shared import migrate

    services = catalog.find()
    logins = {s.name: password for s in services if (password := migrate.password_of(services_url(s.name, os.environ)))}
    count = migrate.apply(owner_url(os.environ), {s.name: s.migrations for s in services}, logins)
    click.echo(f"{count} migrations applied." if count else "Everything is up to date.")
    bus_url = os.environ.get("ARPILOT_BUS_URL", "local:")
    if not bus_url.startswith("local:"):
        from services.events_commands import declare_queues

        declare_queues(bus_url)
        click.echo("All queues are there.")


@arpilot.command()
@click.option("--docs", is_flag=True, help="Print all settings with their descriptions instead of the values.")
def config(docs: bool) -> None:
    """List every setting: its variable, its value (secrets hidden) and what it is for."""
    from shared.config import show

    kinds: list[tuple[str, type[Any]]] = [("ARPILOT_", Settings)]
    kinds += [(f"ARPILOT_{service.name.upper()}_", service.config) for service in catalog.find()]
    for prefix, kind in kinds:
        for variable, value, description in show(kind, prefix, os.environ):
            click.echo(f"{variable}\n    {description}" if docs else f"{variable} = {value}")


async def _greet(settings: Settings, port: int) -> None:
    """Say where everything is: the first thing that a newcomer reads."""
    from services.local import demo_tenant

    base_url = settings.public_url or f"http://localhost:{port}"
    assert settings.database_url, "run all has one"
    demo, _ = await demo_tenant(settings.database_url, Path(settings.data_dir), base_url)
    click.echo(
        f"\n  ARPilot is ready at {base_url}"
        f"\n  API key   {demo['api_key']}"
        f"\n  Docs      {base_url}/docs"
        f"\n  Mails     {base_url}/dev/mail"
        f"\n  Try it    curl -s {base_url}/v1/customers -H 'Authorization: Bearer {demo['api_key']}'"
        f"\n  Kept in   {Path(settings.data_dir) / 'demo.json'}\n",
    )
    sys.stdout.flush()


def main() -> None:
    """Run the command; what the operator can mend is one line, not a traceback."""
    from shared.migrate import SchemaTooOld

    try:
        arpilot(standalone_mode=True)
    except (WrongSetting, StartError, SchemaTooOld) as error:
        click.echo(f"arpilot: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
