"""From one service's transaction to the other's effect, on both buses."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from shared import events, outbox, tracing
from shared.db import Conn
from shared.events import Event
from shared.ids import uuid7
from shared.inbox import Consumer, Subscription
from tests.integration.events.town import THING_UNHEARD, Thing, Town, a_thing, note


async def test_a_committed_event_has_its_effect_in_the_other_service(town: Town) -> None:
    async with town.running():
        await town.announce(a_thing("chair"))
        await town.heard(1)

    assert await town.names() == ["chair"]


async def test_an_event_of_a_rolled_back_transaction_never_leaves(town: Town) -> None:
    async with town.running():
        with pytest.raises(ZeroDivisionError):
            await _announce_and_fail(town)
        await town.announce(a_thing("chair"))
        await town.heard(1)

    assert await town.names() == ["chair"]


async def test_events_announced_before_anybody_runs_are_delivered_later(town: Town) -> None:
    await town.announce(a_thing("early"))

    async with town.running():
        await town.heard(1)
        await town.sent()


async def test_the_same_event_twice_has_one_effect(town: Town) -> None:
    row = outbox.row(a_thing("chair"))
    async with town.running():
        for _ in range(2):
            async with town.orders.transaction() as conn:
                await conn.execute(outbox.INSERT, *outbox.columns([row, row]))
            await town.sent()
        await town.announce(a_thing("last"))
        await town.heard(2)

    assert await town.names() == ["chair", "last"]


async def test_events_of_one_object_arrive_in_the_order_of_their_commits(town: Town) -> None:
    subjects = [uuid7() for _ in range(8)]

    async def change(subject: UUID) -> None:
        for sequence in range(1, 101):
            await town.announce(a_thing(subject=subject, sequence=sequence))

    async with town.running():
        await asyncio.gather(*(change(subject) for subject in subjects))
        await town.heard(800)

    effects = await town.effects()
    for subject in subjects:
        assert [row["sequence"] for row in effects if row["subject"] == subject] == list(range(1, 101))


async def test_a_backlog_of_many_batches_arrives_completely_and_once(town: Town) -> None:
    await town.announce(*(a_thing(str(number)) for number in range(3000)))

    async with town.running():
        await town.heard(3000)
        await town.sent()

    assert await town.names() == [str(number) for number in range(3000)]


async def test_a_batch_handler_gets_all_new_events_of_a_batch_at_once(town: Town) -> None:
    sizes: list[int] = []

    async def note_all(conn: Conn, batch: Sequence[Event]) -> None:
        sizes.append(len(batch))
        for event in batch:
            await note(conn, event)

    await town.announce(*(a_thing(str(number)) for number in range(300)))
    async with town.running((Subscription(("*",), note_all, batch=True),)):
        await town.heard(300)

    assert sum(sizes) == 300
    assert len(sizes) < 30


async def test_a_batch_handler_that_stands_first_runs_before_the_handlers_of_single_events(town: Town) -> None:
    seen: list[int] = []

    async def keep_all(conn: Conn, batch: Sequence[Event]) -> None:
        for event in batch:
            await note(conn, event)

    async def look(conn: Conn, event: Event) -> None:
        seen.append(await conn.fetchval("select count(*) from effects where event_id = $1", event.id))

    await town.announce(*(a_thing(str(number)) for number in range(5)))
    async with town.running((Subscription("thing.*", keep_all, batch=True), Subscription("thing.*", look))):
        await town.heard(5)

    assert seen == [1] * 5


async def test_a_type_that_nobody_hears_does_not_stand_before_others(town: Town) -> None:
    async with town.running():
        await town.announce(*(a_thing("noise", kind=THING_UNHEARD) for _ in range(600)))
        await town.announce(a_thing("chair"))
        await town.heard(1)

    assert await town.names() == ["chair"]


async def test_a_handler_continues_the_trace_that_the_event_came_with(town: Town) -> None:
    traces: list[str | None] = []

    async def look(conn: Conn, event: Event) -> None:
        traces.append(tracing.current.get())
        await note(conn, event)

    sent = tracing.begin(None)
    async with town.running((Subscription("thing.made", look),)):
        await town.announce(a_thing())
        await town.heard(1)

    assert traces[0] is not None
    assert traces[0].split("-")[1] == sent.split("-")[1]


async def test_what_a_stop_interrupts_is_done_after_the_next_start(town: Town) -> None:
    await town.announce(*(a_thing(str(number)) for number in range(2000)))

    while len(await town.effects()) < 2000:
        async with town.running():
            await town.heard(len(await town.effects()) + 1)

    assert sorted(map(int, await town.names())) == list(range(2000))


async def test_an_effect_and_its_inbox_row_are_one(town: Town) -> None:
    """A handler that fails after it wrote leaves nothing behind, and is tried again."""
    tries: list[str] = []

    async def write_and_fail_once(conn: Conn, event: Event) -> None:
        await note(conn, event)
        tries.append(event.decode(Thing).name)
        if len(tries) == 1:
            raise ZeroDivisionError

    async with town.running((Subscription("thing.made", write_and_fail_once),)):
        await town.announce(a_thing("chair"))
        await town.heard(1)

    assert await town.names() == ["chair"]
    assert await town.dead() == []


async def test_two_consumers_given_the_same_events_at_once_have_one_effect_each(local_town: Town) -> None:
    rows = [outbox.row(a_thing(str(number))) for number in range(100)]
    batch = [events.decode(row.body) for row in rows]
    replicas = [Consumer("mirror", local_town.mirror, (Subscription("thing.made", note),)) for _ in range(4)]

    await asyncio.gather(*(replica.consume(batch) for replica in replicas))

    assert sorted(map(int, await local_town.names())) == list(range(100))


async def _announce_and_fail(town: Town) -> None:
    async with town.orders.transaction() as conn:
        await outbox.put(conn, a_thing("ghost"))
        raise ZeroDivisionError
