"""What the clock starts: each job runs on one replica at a time, and again as soon as it is due after a downtime.

The lease of a job is also its schedule: after a run it is given back only until the next run is due.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from shared import tracing
from shared.db import EXHAUSTED, LOST, Database, DatabaseAway
from shared.errors import Unavailable
from shared.inbox import reason_of
from shared.lease import Lease
from shared.retry import pauses
from shared.stopping import cancel, either, pause

log = structlog.get_logger(__name__)
T = TypeVar("T")

LEASE_SECONDS = 15.0
GRACE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
"""Look again after at most this long: the holder of a lease may have died."""
RETRY_SECONDS = 10.0
"""After a failure a job is due again this soon, or when it would be anyway."""

AWAY = (DatabaseAway, *LOST, *EXHAUSTED)

RUNS = Counter("arpilot_job_runs_total", "Runs of jobs", ("service", "job", "outcome"))
SECONDS = Histogram("arpilot_job_seconds", "Time that a run takes", ("service", "job"))


@dataclass(frozen=True)
class Job:
    """Work to be done every so often; `run` opens its own transactions and catches up on what is overdue."""

    name: str
    every_seconds: float
    run: Callable[[Any], Awaitable[None]]


class SomeFailed(Exception):
    """Some of what a run had to do failed; each was logged when it did. All else was done."""


async def one_by_one(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> int:
    """Do each by itself, so that one that fails holds up none behind it; says how many failed.

    Where the database or another service is away the run ends, since all would fail.
    """
    failed = 0
    for item in items:
        try:
            await work(item)
        except (Unavailable, *AWAY):
            raise
        except Exception:
            log.exception("one of several failed, and the others go on", item=str(item)[:200])
            failed += 1
    return failed


def tell(failed: int) -> None:
    """Let a run count as failed where some of its work did: it is seen, and soon tried again."""
    if failed:
        raise SomeFailed(f"{failed} failed")


class Host(Protocol):
    """What jobs run in: a service that runs. It is handed to each run."""

    @property
    def name(self) -> str: ...
    @property
    def database(self) -> Database: ...


async def run_jobs(host: Host, jobs: Sequence[Job], stopping: asyncio.Event) -> None:
    """Run a service's table of jobs until told to stop; then runs in progress get a little time to end."""
    async with asyncio.TaskGroup() as tasks:
        for job in jobs:
            tasks.create_task(_Clock(host, job).run(stopping))


class _Clock:
    """Starts one job whenever it is due and free."""

    def __init__(self, host: Host, job: Job) -> None:
        self._host = host
        self._job = job
        self._lease = Lease(host.database, f"job:{job.name}", ttl_seconds=LEASE_SECONDS)

    async def run(self, stopping: asyncio.Event) -> None:
        waits = pauses(first_seconds=0.5)
        while not stopping.is_set():
            try:
                seconds = await self._turn(stopping)
                waits = pauses(first_seconds=0.5)
            except AWAY as error:
                seconds = next(waits)
                log.warning("a job waits for the database", job=self._job.name, reason=reason_of(error))
            except Exception:
                seconds = next(waits)
                log.exception("a job's schedule failed", service=self._host.name, job=self._job.name)
            await pause(seconds, stopping)

    async def _turn(self, stopping: asyncio.Event) -> float:
        """Run the job if it is due; returns how long to wait before asking again."""
        if await self._lease.take():
            began_at = time.monotonic()
            async with self._lease.kept(), either(stopping, self._lease.lost) as over:
                done = await self._run_until(over)
            every = self._job.every_seconds if done else min(self._job.every_seconds, RETRY_SECONDS)
            await self._lease.leave(free_in_seconds=max(0.0, began_at + every - time.monotonic()) if done else every)
        return min(await self._lease.free_in_seconds(), LONGEST_WAIT_SECONDS)

    async def _run_until(self, over: asyncio.Event) -> bool:
        """Whether the job ended well. Once it is over (a stop, or the lease was lost), it has a little time left."""
        run = asyncio.create_task(self._run_once())
        end = asyncio.create_task(over.wait())
        try:
            await asyncio.wait({run, end}, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                await asyncio.wait({run}, timeout=0 if self._lease.lost.is_set() else GRACE_SECONDS)
            return run.done() and run.result()
        finally:
            await cancel(run, end)

    async def _run_once(self) -> bool:
        traceparent, started = tracing.begin(None), time.perf_counter()
        outcome = "failed"
        try:
            with SECONDS.labels(self._host.name, self._job.name).time():
                await self._job.run(self._host)
            outcome = "done"
        except AWAY as error:
            log.warning("a job waits for the database", job=self._job.name, reason=reason_of(error))
        except Exception:
            log.exception("a job failed and will be tried again", service=self._host.name, job=self._job.name)
        RUNS.labels(self._host.name, self._job.name, outcome).inc()
        seconds, failed = time.perf_counter() - started, outcome == "failed"
        tracing.record(
            f"job {self._job.name}",
            "internal",
            self._host.name,
            traceparent=traceparent,
            parent=None,
            seconds=seconds,
            failed=failed,
        )
        return outcome == "done"
