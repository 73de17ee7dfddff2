"""What runs by itself: examining the payments that wait, and carrying out what was intended.

An intent is carried out outside of any transaction: ask the invoices service, then write down its answers. That may be
begun again at any point, by this process or another: the command is idempotent by allocation id, and an answer that was
written down before changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import structlog

from services.payments.intake import store as intake_store
from services.payments.intake.model import Allocation, Payment, State
from services.payments.matching import actions, command, store
from services.payments.matching.books import Books
from shared import clock
from shared.db import CONTENDED, EXHAUSTED, LOST, DatabaseAway
from shared.http.client import ServiceAway, ServiceRefused
from shared.jobs import Job
from shared.stopping import either, pause

if TYPE_CHECKING:
    from shared.app import Runtime

T = TypeVar("T")
log = structlog.get_logger(__name__)

BATCH_PAYMENTS = 100
MAX_TENANTS = 20
POLL_SECONDS = 2.0
GATHER_SECONDS = 0.05
"""After a commit wait so long for more, so that a stream of payments is examined in batches."""
RETRY_SECONDS = 2.0
UNANSWERED_SECONDS = 5.0
"""Longer than a command takes as a rule; asking once more than needed changes nothing."""
MAX_RESUMED = 2000

AWAY = (DatabaseAway, *LOST, *EXHAUSTED, *CONTENDED)


class Waker:
    """Rings whenever this process has committed something, which may have been a payment."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()


@asynccontextmanager
async def waker(runtime: "Runtime") -> AsyncIterator[Waker]:
    """The one waker of a process."""
    made = Waker()
    runtime.database.on_commit.append(made.rung.set)
    yield made


@asynccontextmanager
async def books(_: "Runtime") -> AsyncIterator[Books]:
    """The indexes of a process."""
    yield Books()


async def match_waiting(runtime: "Runtime", stopping: asyncio.Event) -> None:
    """Examine queued payments until the process stops."""
    rung = runtime.use(Waker).rung
    while not stopping.is_set():
        rung.clear()
        try:
            is_busy = await match_next(runtime)
        except AWAY as error:
            log.warning("matching waits for the database", reason=str(error))
            await pause(RETRY_SECONDS, stopping)
            continue
        except Exception:
            log.exception("matching failed")
            await pause(RETRY_SECONDS, stopping)
            continue
        if not is_busy:
            async with either(stopping, rung) as over:
                await pause(POLL_SECONDS, over)
            await pause(GATHER_SECONDS, stopping)


async def match_next(runtime: "Runtime") -> bool:
    """Examine one batch of each tenant that has payments queued; says whether there was any."""
    async with runtime.database.connection() as conn:
        tenants = await store.tenants_with_work(conn, MAX_TENANTS)
    for tenant_id in tenants:
        await _match_batch(runtime, tenant_id)
    return bool(tenants)


async def _match_batch(runtime: "Runtime", tenant_id: UUID) -> None:
    """Examine some payments; where one of them breaks our rules, each by itself, so that it stops no other."""
    queued: list[UUID] = []
    try:
        async with runtime.database.transaction() as conn:
            await store.next_tick(conn, tenant_id)  # before the queue's rows: locks are taken in one order everywhere
            queued = await store.take_queued(conn, tenant_id, BATCH_PAYMENTS)
            found = await actions.examine(conn, tenant_id, queued, runtime.use(Books), forced=False, now=clock.now())
    except AWAY:
        raise
    except Exception:
        if not queued:
            raise
        log.exception("a batch of payments could not be examined", tenant=str(tenant_id))
        for payment_id in queued:
            await _match_one(runtime, tenant_id, payment_id)
    else:
        await carry_out(runtime, tenant_id, found.applied)


async def _match_one(runtime: "Runtime", tenant_id: UUID, payment_id: UUID) -> None:
    """Examine one payment; it leaves the queue even where that fails, but not where the database goes away."""
    matched: Sequence[UUID] = ()
    async with runtime.database.transaction() as conn:
        await store.next_tick(conn, tenant_id)
        await store.leave_queue(conn, tenant_id, payment_id)
        try:
            async with conn.transaction():
                found = await actions.examine(
                    conn, tenant_id, [payment_id], runtime.use(Books), forced=False, now=clock.now()
                )
            matched = found.applied
        except AWAY:
            raise
        except Exception:
            log.exception("a payment could not be examined", tenant=str(tenant_id), payment=str(payment_id))
    await carry_out(runtime, tenant_id, matched)


async def resume(runtime: "Runtime") -> None:
    """Ask again for whatever the invoices service has not answered."""
    async with runtime.database.connection() as conn:
        now = clock.now()
        before = now - timedelta(seconds=UNANSWERED_SECONDS)
        outstanding = await intake_store.unanswered(conn, before, MAX_RESUMED, now=now)
    for tenant_id, allocations in outstanding.items():
        await carry_out(runtime, tenant_id, sorted({allocation.payment_id for allocation in allocations}))


async def carry_out(runtime: "Runtime", tenant_id: UUID, payment_ids: Sequence[UUID]) -> list[Allocation]:
    """Settle whatever these payments have outstanding; what the invoices service does not answer stays outstanding.

    First what is to be taken back, so that the money is free for what is to be applied. Returns what was answered.
    """
    answered: list[Allocation] = []
    try:
        for some in _some(payment_ids):
            answered += await _reverse(runtime, tenant_id, await _load(runtime, tenant_id, some))
            answered += await _apply(runtime, tenant_id, await _load(runtime, tenant_id, some))
    except ServiceAway:
        log.warning("invoices is away; matches stay pending", tenant=str(tenant_id))
    except ServiceRefused as refusal:
        log.error("invoices refused a command", tenant=str(tenant_id), error=str(refusal))
    return answered


async def _load(runtime: "Runtime", tenant_id: UUID, payment_ids: Sequence[UUID]) -> list[Payment]:
    async with runtime.database.connection() as conn:
        return await intake_store.find(conn, tenant_id, payment_ids)


async def _reverse(runtime: "Runtime", tenant_id: UUID, payments: Sequence[Payment]) -> list[Allocation]:
    outstanding = [a for payment in payments for a in payment.allocations if a.state is State.REVERSING]
    answered: list[Allocation] = []
    for some in _some(outstanding):
        results = await command.reverse(runtime.internal, tenant_id, some)
        answered += await _record(runtime, tenant_id, some, results)
    return answered


async def _apply(runtime: "Runtime", tenant_id: UUID, payments: Sequence[Payment]) -> list[Allocation]:
    outstanding = [(payment, a) for payment in payments for a in payment.allocations if a.state is State.PENDING]
    answered: list[Allocation] = []
    for some in _some(outstanding):
        results = await command.apply(runtime.internal, tenant_id, some)
        answered += await _record(runtime, tenant_id, [allocation for _, allocation in some], results)
    return answered


async def _record(
    runtime: "Runtime", tenant_id: UUID, asked: Sequence[Allocation], results: Sequence[command.Result]
) -> list[Allocation]:
    async with runtime.database.transaction() as conn:
        return await actions.record(conn, tenant_id, asked, results, now=clock.now())


def _some(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one command takes."""
    for start in range(0, len(items), command.MAX_ITEMS):
        yield items[start : start + command.MAX_ITEMS]


JOBS = (Job("resume_matches", every_seconds=2, run=resume),)
