"""`arpilot events`: make queues, replay the log, and list, read and send back events that a service gave up."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec

from services import catalog
from services.commands import owner_url, services_url
from shared import db, logs, migrate
from shared.bus.dead import DeadLetter, DeadLetters, open_dead_letters
from shared.config import WrongSetting
from shared.db import Database
from shared.inbox import patterns_of

T = TypeVar("T")

LIMIT = 100
MOST = 10_000

_SERVICE = click.option("--service", type=click.Choice(catalog.NAMES), help="Only this service's.")


@click.group()
def events() -> None:
    """What travels between the services."""


@events.command()
def declare() -> None:
    """Make every service's queue on RabbitMQ, before the first of them starts.

    A queue keeps what is announced from its making on, whether its service runs or not. Safe to repeat; waits for a
    broker that is away.
    """
    made = declare_queues(os.environ.get("ARPILOT_BUS_URL", "local:"))
    click.echo("All queues are there." if made else "The bus in the process needs no queues.")


def declare_queues(bus_url: str) -> bool:
    """Make the queues of all services; False where the bus has none."""
    if bus_url.startswith("local:"):
        return False
    from shared.bus import rabbitmq  # aio-pika takes 0.1 s to import

    patterns = {service.name: patterns_of(service.subscriptions) for service in catalog.find()}
    asyncio.run(rabbitmq.declare(bus_url, {name: each for name, each in patterns.items() if each}))
    return True


@events.command()
@click.argument("service", type=click.Choice(("invoices", "payments", "notifier")))
@click.option("--since", required=True, help="An instant such as 2026-01-31T12:00:00Z, some minutes too early.")
def replay(service: str, since: str) -> None:
    """Give SERVICE once more what the event log has, after its queue was deleted or its broker lost.

    What it has handled already has no second effect. The log has everything once webhooks has worked off its own
    queue. It holds what webhooks may carry, for as long as
    ARPILOT_WEBHOOKS_RETENTION_DAYS says.
    """
    instant, bus_url = _instant(since), os.environ.get("ARPILOT_BUS_URL", "local:")
    if bus_url.startswith("local:"):
        raise click.ClickException("the bus in the process loses no event, so there is nothing to replay")
    from services import replaying  # aio-pika takes 0.1 s to import
    from shared.bus.rabbitmq import QueueMissing

    logs.configure(log_format="console", log_level="warning")
    try:
        count = replaying.run(owner_url(os.environ), bus_url, service, instant)
    except QueueMissing as queue:
        raise click.ClickException(f"there is no queue {queue}: start {service}, or `arpilot events declare`") from None
    click.echo(f"{count} sent to {service}.")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--since {text} is no instant such as 2026-01-31T12:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@events.group()
def dead() -> None:
    """Events that a service could not handle and gave up."""


@dead.command("list")
@_SERVICE
@click.option("--limit", type=click.IntRange(1, MOST), default=LIMIT, show_default=True, help="Most per service.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(service: str | None, limit: int, *, as_json: bool) -> None:
    """List dead events, the oldest first, with the reason."""
    found = _run(lambda letters: _all(letters, service, limit))
    for letter in found:
        click.echo(msgspec.json.encode(letter) if as_json else _line(letter))
    if not found and not as_json:
        click.echo("There are no dead events.")


@dead.command()
@_SERVICE
@click.argument("event_id")
def show(service: str | None, event_id: str) -> None:
    """Print one dead event in full."""
    found = [each for each in _run(lambda letters: _all(letters, service, MOST)) if each.event_id == event_id]
    if not found:
        raise click.ClickException(f"there is no dead event {event_id}")
    for letter in found:
        click.echo(f"{_line(letter)}\nattempts {letter.attempts}\n{letter.body}")


@dead.command()
@_SERVICE
@click.option("--all", "everything", is_flag=True, help="All that there are.")
@click.argument("event_ids", nargs=-1)
def requeue(service: str | None, event_ids: tuple[str, ...], *, everything: bool) -> None:
    """Send dead events back to the service that gave them up, and to no other."""
    if bool(event_ids) == everything:
        raise click.UsageError("name the events, or say --all")
    wanted = None if everything else frozenset(event_ids)
    count = _run(lambda letters: _requeue(letters, service, wanted))
    click.echo(f"{count} sent back.")
    if wanted and not count:
        sys.exit(1)


async def _all(letters: DeadLetters, service: str | None, limit: int) -> list[DeadLetter]:
    return [letter for name in _names(service) for letter in await letters.all(name, limit=limit)]


async def _requeue(letters: DeadLetters, service: str | None, wanted: frozenset[str] | None) -> int:
    return sum([await letters.requeue(name, wanted) for name in _names(service)])


def _names(service: str | None) -> tuple[str, ...]:
    return (service,) if service else catalog.NAMES


def _line(letter: DeadLetter) -> str:
    died_at = f"{letter.died_at:%Y-%m-%d %H:%M:%S}" if letter.died_at else "-"
    return f"{letter.event_id}  {died_at}  {letter.service}  {letter.type or '(no event)'}  {letter.reason}"


def _run(work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    logs.configure(log_format="console", log_level="warning")
    return asyncio.run(_with_letters(work))


async def _with_letters(work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    bus_url = os.environ.get("ARPILOT_BUS_URL", "local:")
    async with AsyncExitStack() as stack:
        databases = {name: await _database(stack, name) for name in catalog.NAMES} if bus_url == "local:" else {}
        return await work(await stack.enter_async_context(open_dead_letters(bus_url, databases)))


async def _database(stack: AsyncExitStack, service: str) -> Database:
    """The service's own schema, as its role; raises WrongSetting when there is no way to it."""
    own = services_url(service, os.environ)
    role = None if own else migrate.role_of(service)
    dsn = own or owner_url(os.environ)
    try:
        database = await db.connect(dsn, service=service, role=role, pool_size=1, statement_timeout_seconds=30)
    except db.LOST as error:
        raise WrongSetting(f"The database of {service} does not let us in: {error}.") from error
    stack.push_async_callback(database.close)
    return database
