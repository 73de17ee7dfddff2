"""`arpilot doctor`: is everything there that the settings name, and if not, what to do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import click

from services import catalog
from services.commands import owner_url, services_url
from shared import clock, db, migrate
from shared.config import ServiceConfig, Settings, WrongSetting, load, misspelt
from shared.errors import Refusal
from shared.ids import uuid7

OLDEST_POSTGRES = 15
MOST_SECONDS_APART = 2.0
CONNECT_SECONDS = 5.0
AWAY = (asyncpg.PostgresError, OSError, TimeoutError)

Environ = Mapping[str, str]
Kind = type[Settings] | type[ServiceConfig]


class Finding(NamedTuple):
    """What a check found; `mend` says what to do and is empty when all is well."""

    what: str
    mend: str = ""


@click.command()
def doctor() -> None:
    """Check settings, servers, roles, documents and clock; say what is wrong and how to mend it."""
    findings = asyncio.run(_findings(os.environ))
    for finding in findings:
        click.echo(
            f"{'WRONG' if finding.mend else 'ok':<6} {finding.what}"
            + (f"\n       → {finding.mend}" * bool(finding.mend))
        )
    sys.stdout.flush()
    # At once: obstore's threads may still be letting go of Python's objects, and abort when the interpreter is gone.
    os._exit(1 if any(finding.mend for finding in findings) else 0)


async def _findings(environ: Environ) -> list[Finding]:
    return [finding for check in CHECKS for finding in [each async for each in check(environ)]]


async def check_settings(environ: Environ) -> AsyncIterator[Finding]:
    """Each struct of settings can be read, and no variable is misspelt."""
    kinds: list[tuple[str, Kind]] = [("ARPILOT_", Settings)]
    kinds += [(_prefix(service.name), service.config) for service in catalog.find()]
    wrong = [finding for prefix, kind in kinds for finding in _unreadable(prefix, kind, environ)]
    for finding in wrong:
        yield finding
    known = [prefix + name.upper() for prefix, kind in kinds for name in kind.__struct_fields__]
    known += [f"{_prefix(name)}URL" for name in catalog.NAMES]
    for sentence in misspelt(known, environ):
        yield Finding(sentence, "correct or remove the variable")
    if not wrong:
        yield Finding("The settings can be read.")


def _unreadable(prefix: str, kind: Kind, environ: Environ) -> list[Finding]:
    try:
        load(kind, prefix, environ)
    except WrongSetting as error:
        return [Finding(str(error), "`arpilot config --docs` says what it is for")]
    return []


async def check_owner(environ: Environ) -> AsyncIterator[Finding]:
    """The owner reaches a database that is new enough, whose schemas are up to date and whose clock agrees."""
    try:
        conn = await db.connect_once(owner_url(environ))
    except (WrongSetting, *AWAY) as error:
        yield Finding(
            str(error), "is PostgreSQL up, and are user, password and database in ARPILOT_DATABASE_URL right?"
        )
        return
    try:
        yield await _version(conn)
        yield await _schemas(conn)
        yield await _clock(conn)
    finally:
        await conn.close()


async def _version(conn: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    major = conn.get_server_version().major
    wrong = f"ARPilot needs PostgreSQL {OLDEST_POSTGRES} or newer" if major < OLDEST_POSTGRES else ""
    return Finding(f"The database is PostgreSQL {major}.", wrong)


async def _schemas(conn: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    folders = {"identity": migrate.IDENTITY} | {service.name: service.migrations for service in catalog.find()}
    missing = {
        name: pending for name, folder in folders.items() if (pending := await migrate.pending(conn, name, folder))
    }
    if missing:
        return Finding(f"Migrations are missing in {', '.join(missing)}.", "run `arpilot migrate`")
    return Finding("All schemas are up to date.")


async def _clock(conn: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    apart = abs((clock.now() - await conn.fetchval("select clock_timestamp()")).total_seconds())
    wrong = "synchronise the clocks of this machine and the database (NTP)" if apart > MOST_SECONDS_APART else ""
    return Finding(f"The database's clock is {apart:.1f} s from ours.", wrong)


async def check_roles(environ: Environ) -> AsyncIterator[Finding]:
    """Each service's role logs in, reaches its own schema, and no other service's."""
    for service in catalog.NAMES:
        if dsn := services_url(service, environ):
            yield await _role(service, dsn)


async def _role(service: str, dsn: str) -> Finding:
    variable = f"{_prefix(service)}DATABASE_URL"
    try:
        conn = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except AWAY as error:
        return Finding(
            f"{variable} does not let us in: {error}", "`arpilot migrate` sets the role's password to the one in it"
        )
    try:
        reached = [row["name"] for row in await conn.fetch(_REACHED, list(catalog.NAMES))]
    finally:
        await conn.close()
    wrong = (
        "" if reached == [service] else f"use the role {migrate.role_of(service)}, which reaches its own schema alone"
    )
    return Finding(f"{variable} reaches {', '.join(reached) or 'no schema'}.", wrong)


_REACHED = """
    select name from unnest($1::text[]) as name
    where to_regnamespace(name) is not null and has_schema_privilege(name, 'usage')
"""


async def check_broker(environ: Environ) -> AsyncIterator[Finding]:
    """RabbitMQ lets us in."""
    url = environ.get("ARPILOT_BUS_URL", "")
    if not url.startswith("amqp"):
        yield Finding("The bus is inside the process.")
        return
    import aio_pika  # takes 0.1 s, which the other commands need not pay

    try:
        connection = await aio_pika.connect(url, timeout=CONNECT_SECONDS)
    except (aio_pika.exceptions.AMQPError, OSError, TimeoutError) as error:
        yield Finding(
            f"RabbitMQ does not let us in: {error!r}",
            "is it up, and are user, password and vhost in ARPILOT_BUS_URL right?",
        )
        return
    await connection.close()
    yield Finding("RabbitMQ lets us in.")


async def check_mail(environ: Environ) -> AsyncIterator[Finding]:
    """The mail server answers."""
    url = environ.get("ARPILOT_NOTIFIER_SMTP_URL")
    if not url:
        yield Finding("No mail server is set: mails are kept and shown at /dev/mail.")
        return
    place = urlsplit(url)
    port = place.port or (465 if place.scheme == "smtps" else 587)
    reached = await _answers(asyncio.open_connection(place.hostname, port))
    mend = "" if reached else "is ARPILOT_NOTIFIER_SMTP_URL right, and does the network let us out?"
    yield Finding(f"The mail server {place.hostname}:{port} {'answers' if reached else 'does not answer'}.", mend)


async def _answers(connecting: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await connecting
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def check_documents(environ: Environ) -> AsyncIterator[Finding]:
    """What is put into the store of documents comes back."""
    from shared.blobs import open_store  # obstore takes 0.1 s

    key = f"doctor/{uuid7()}"
    try:
        store = open_store(load(Settings, "ARPILOT_", environ))
        await store.put(key, b"doctor")
        kept = await store.get(key) == b"doctor"
        await store.delete(key)
    except (WrongSetting, Refusal, OSError) as error:
        cause = error.__cause__ or error
        where = environ.get("ARPILOT_BLOBS_URL") or str(Path(environ.get("ARPILOT_DATA_DIR", ".arpilot")) / "blobs")
        yield Finding(
            f"Documents cannot be kept in {where}: {cause}", "may this user write there, and is the bucket's key right?"
        )
        return
    yield Finding("Documents can be kept.", "" if kept else "the store forgets what it is given")


def _prefix(service: str) -> str:
    return f"ARPILOT_{service.upper()}_"


CHECKS: tuple[Callable[[Environ], AsyncIterator[Finding]], ...] = (
    check_settings,
    check_owner,
    check_roles,
    check_broker,
    check_mail,
    check_documents,
)
