"""Leases and the jobs that run under them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.db import Database
from shared.housekeeping import forget_handled_events
from shared.jobs import Job, run_jobs
from shared.lease import Lease
from tests.integration.events.town import Town, open_database, until


class Host:
    """What jobs run in."""

    name = "orders"

    def __init__(self, database: Database) -> None:
        self.database = database


async def test_a_lease_is_held_by_one_at_a_time_and_each_holder_has_a_larger_number(local_town: Town) -> None:
    leases = [Lease(local_town.orders, "work", ttl_seconds=60) for _ in range(8)]

    taken = await asyncio.gather(*(lease.take() for lease in leases))
    (holder,) = (lease for lease, mine in zip(leases, taken, strict=True) if mine)
    await holder.leave()
    again = Lease(local_town.orders, "work", ttl_seconds=60)

    assert await again.take()
    assert (holder.fencing, again.fencing) == (1, 2)


async def test_a_lease_that_is_not_renewed_is_free_again_after_its_time(local_town: Town) -> None:
    assert await Lease(local_town.orders, "work", ttl_seconds=0.2).take()
    other = Lease(local_town.orders, "work", ttl_seconds=60)

    assert not await other.take()
    await until(other.take)


async def test_a_lease_that_is_kept_outlives_its_time(local_town: Town) -> None:
    lease = Lease(local_town.orders, "work", ttl_seconds=0.6)
    await lease.take()
    async with lease.kept():
        await asyncio.sleep(1.5)
        assert not await Lease(local_town.orders, "work", ttl_seconds=60).take()
        assert not lease.lost.is_set()


async def test_a_holder_learns_that_its_lease_was_taken(local_town: Town) -> None:
    lease = Lease(local_town.orders, "work", ttl_seconds=0.3)
    await lease.take()
    async with local_town.orders.connection() as conn:
        await conn.execute("update leases set fencing = fencing + 1")

    async with lease.kept(), asyncio.timeout(10):
        await lease.lost.wait()


async def test_a_job_runs_at_the_start_and_again_when_it_is_due(local_town: Town) -> None:
    runs: list[object] = []

    async def run(host: Host) -> None:
        runs.append(host)

    async with _jobs(local_town.orders, Job("tick", every_seconds=0.2, run=run)) as host:
        await until(lambda: _longer(runs, 3))

    assert runs[0] is host


async def test_a_job_that_is_not_due_does_not_run_at_the_next_start(local_town: Town) -> None:
    runs: list[int] = []
    job = Job("hourly", every_seconds=3600, run=_append_to(runs))
    async with _jobs(local_town.orders, job):
        await until(lambda: _longer(runs, 1))

    async with _jobs(local_town.orders, job):
        await asyncio.sleep(0.5)

    assert len(runs) == 1


async def test_a_job_that_became_due_while_nobody_ran_is_caught_up_once(local_town: Town) -> None:
    runs: list[int] = []
    job = Job("hourly", every_seconds=3600, run=_append_to(runs))
    async with _jobs(local_town.orders, job):
        await until(lambda: _longer(runs, 1))
    async with local_town.orders.connection() as conn:
        await conn.execute("update leases set expires_at = now() - interval '5 hours'")

    async with _jobs(local_town.orders, job):
        await until(lambda: _longer(runs, 2))
        await asyncio.sleep(0.3)

    assert len(runs) == 2


async def test_replicas_never_run_a_job_at_the_same_time(local_town: Town) -> None:
    running = 0
    most = 0
    runs: list[int] = []

    async def run(_: Host) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        runs.append(1)

    other = await open_database(local_town.dsn, "orders")
    job = Job("tick", every_seconds=0.05, run=run)
    async with _jobs(local_town.orders, job), _jobs(other, job):
        await until(lambda: _longer(runs, 10))
    await other.close()

    assert most == 1


async def test_a_failing_job_is_tried_again_and_does_not_disturb_the_others(local_town: Town) -> None:
    tries: list[int] = []
    runs: list[int] = []

    async def fail(_: Host) -> None:
        tries.append(1)
        raise ZeroDivisionError

    jobs = (Job("fails", every_seconds=0.1, run=fail), Job("works", every_seconds=0.1, run=_append_to(runs)))
    async with _jobs(local_town.orders, *jobs):
        await until(lambda: _longer(tries, 2))
        await until(lambda: _longer(runs, 2))


async def test_a_stop_lets_a_running_job_end(local_town: Town) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def run(_: Host) -> None:
        began.set()
        await asyncio.sleep(0.3)
        ended.set()

    async with _jobs(local_town.orders, Job("slow", every_seconds=3600, run=run)):
        await began.wait()

    assert ended.is_set()


async def test_a_job_ends_when_its_lease_was_taken(local_town: Town) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def run(_: Host) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    async with _jobs(local_town.orders, Job("slow", every_seconds=3600, run=run)), asyncio.timeout(30):
        await began.wait()
        async with local_town.orders.connection() as conn:
            await conn.execute("update leases set fencing = fencing + 1")
        await cancelled.wait()


@asynccontextmanager
async def _jobs(database: Database, *jobs: Job) -> AsyncIterator[Host]:
    stopping = asyncio.Event()
    host = Host(database)
    task = asyncio.create_task(run_jobs(host, jobs, stopping))
    try:
        yield host
    finally:
        stopping.set()
        await task


async def _longer(runs: list[object] | list[int], count: int) -> bool:
    return len(runs) >= count


def _append_to(runs: list[int]) -> Callable[[Host], Awaitable[None]]:
    async def run(_: Host) -> None:
        runs.append(1)

    return run


async def test_the_inbox_forgets_only_what_is_old(local_town: Town) -> None:
    async with local_town.orders.connection() as conn:
        await conn.execute(
            "insert into inbox (event_id, received_at)"
            " select gen_random_uuid(), now() - make_interval(days => number) from generate_series(1, 60) number"
        )

    await forget_handled_events(Host(local_town.orders))

    async with local_town.orders.connection() as conn:
        assert await conn.fetchval("select count(*) from inbox") == 29
