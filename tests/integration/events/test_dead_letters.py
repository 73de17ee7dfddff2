"""Events that cannot be handled, on both buses."""

import asyncio

import pytest
from click.testing import CliRunner, Result

from services import catalog
from services.events_commands import events as command
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription
from tests.integration.events.town import Thing, Town, a_thing, note, until


class Mood:
    """A handler that cannot bear some names until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    async def handle(self, conn: Conn, event: Event) -> None:
        if event.decode(Thing).name.startswith("poison") and not self.mended:
            raise ValueError("cannot bear it")
        await note(conn, event)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return (Subscription("thing.made", self.handle),)


async def test_poison_does_not_block_those_behind_it(town: Town) -> None:
    names = [f"poison {number}" if number % 10 == 0 else str(number) for number in range(100)]

    async with town.running(Mood().subscriptions):
        await town.announce(*(a_thing(name) for name in names))
        await town.heard(90)
        dead = await town.died(10)

    assert sorted(await town.names()) == sorted(name for name in names if not name.startswith("poison"))
    assert {letter.reason for letter in dead} == {"ValueError: cannot bear it"}
    assert {letter.type for letter in dead} == {"thing.made"}
    assert '"poison 0"' in dead[0].body
    await town.sent()


async def test_a_dead_event_that_is_sent_back_has_its_effect_once_the_handler_is_mended(town: Town) -> None:
    mood = Mood()
    async with town.running(mood.subscriptions):
        await town.announce(a_thing("poison a"), a_thing("poison b"))
        first, _ = await town.died(2)
        mood.mended = True

        assert await town.requeue(first.event_id) == 1
        await town.heard(1)

    assert await town.names() == ["poison a"]
    assert '"poison b"' in (await town.dead())[0].body


async def test_a_dead_event_that_fails_again_is_dead_again(town: Town) -> None:
    async with town.running(Mood().subscriptions):
        await town.announce(a_thing("poison"))
        before = (await town.died(1))[0].died_at

        async def died_again() -> bool:
            return any(letter.died_at != before for letter in await town.dead())

        assert await town.requeue() == 1
        await until(died_again)

    assert len(await town.dead()) == 1


async def test_later_events_of_an_object_wait_for_one_that_needs_another_try(town: Town) -> None:
    failed: list[int] = []

    async def fail_first(conn: Conn, event: Event) -> None:
        if event.sequence == 1 and len(failed) < 2:
            failed.append(event.sequence)
            raise ValueError
        await note(conn, event)

    subject = a_thing().subject
    await town.announce(*(a_thing(subject=subject, sequence=sequence) for sequence in (1, 2, 3)))
    async with town.running((Subscription("thing.made", fail_first),)):
        await town.heard(3)

    assert [row["sequence"] for row in await town.effects()] == [1, 2, 3]


async def test_looking_at_dead_events_changes_nothing(town: Town) -> None:
    async with town.running(Mood().subscriptions):
        await town.announce(a_thing("poison"))
        await town.died(1)

    for _ in range(30):
        assert len(await town.dead()) == 1


async def test_the_command_lists_shows_and_sends_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    mood = Mood()
    _let_the_command_find(town, monkeypatch)
    assert (await _invoke("list")).output == "There are no dead events.\n"
    async with town.running(mood.subscriptions):
        await town.announce(a_thing("poison a"), a_thing("poison b"))
        letters = await town.died(2)
        mood.mended = True

        listed = await _invoke("list")
        shown = await _invoke("show", letters[0].event_id)
        refused = await _invoke("requeue")
        unknown = await _invoke("requeue", "nothing-like-it")
        sent = await _invoke("requeue", letters[0].event_id)
        await town.heard(1)
        rest = await _invoke("requeue", "--all")
        await town.heard(2)

    assert [line.split()[0] for line in listed.output.splitlines()] == [letter.event_id for letter in letters]
    assert "ValueError: cannot bear it" in listed.output
    assert letters[0].body in shown.output
    assert refused.exit_code == 2
    assert unknown.exit_code == 1
    assert sent.output == rest.output == "1 sent back.\n"


def _let_the_command_find(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "NAMES", ("mirror",))
    monkeypatch.setenv("ARPILOT_BUS_URL", town.bus_url)
    monkeypatch.setenv("ARPILOT_MIRROR_DATABASE_URL", town.dsn)


async def _invoke(*arguments: str) -> Result:
    """As a process of its own would run it: in another thread, with another event loop."""
    return await asyncio.to_thread(CliRunner().invoke, command, ["dead", *arguments])
