"""growth: create, get and dispatch beside 1,000,000 invoices and deliveries, against the same on an empty database."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from uuid import UUID

from bench import creating, dispatching, reading
from bench.rows import ROUNDS, Row, median
from bench.stage import Stage, stage

STORED = 1_000_000
PATHS = [f"/{number}" for number in range(dispatching.ENDPOINTS)]

HISTORY = """
    insert into webhooks.events
    select $1, public.bench_uuid(n), 'invoice.created', public.bench_uuid(n), 1, now(), repeat('y', 1000)
    from generate_series(1, $2::int) n
"""
DELIVERED = """
    insert into webhooks.deliveries
    select $1, e.id, public.bench_uuid(n), gen_random_uuid(), 'invoice.created', 'delivered', 1, now(), now()
    from generate_series(1, $2::int) n cross join webhooks.endpoints e where e.tenant_id = $1
"""
BENCH_UUID = """
    create function public.bench_uuid(n bigint) returns uuid language sql as $$
        select (substr(webhooks.uuid_at(now() - interval '1 hour')::text, 1, 13) || '-7000-8000-'
            || lpad(to_hex(n), 12, '0'))::uuid $$
"""
"""Ids of an hour ago, so that the history lies in the same partition as what is delivered now."""


async def growth() -> list[Row]:
    """Both sides in turn, one kind of work after the other."""
    async with dispatching.a_sink() as sink, _stage() as empty, _stage() as full:
        sides = [await _side(empty, sink, 2), await _side(full, sink, STORED)]
        await reading.settle(full)
        rows = [await _compare("growth-create", sides, Side.create), await _compare("growth-get", sides, Side.get)]
        for side in sides:  # only now, since each of them hears of every new invoice
            side.endpoints = await dispatching.register(side.running, sink, PATHS)
        await _history(full)
        return [*rows, await _compare("growth-send", sides, Side.dispatch)]


@dataclass
class Side:
    """One of both databases with what is measured on it."""

    running: Stage
    sink: dispatching.Sink
    invoice_id: str
    endpoints: list[UUID] = field(default_factory=list)

    async def create(self) -> float:
        """Invoices made per second."""
        return (await creating.app(self.running, creating.CONNECTIONS))[0]

    async def get(self) -> float:
        """Invoices read per second."""
        return await reading.rate(
            self.running.base_url, [f"/v1/invoices/{self.invoice_id}"], self.running.tenants[0].key
        )

    async def dispatch(self) -> float:
        """Deliveries per second."""
        return await dispatching.dispatched(self.running, self.sink, self.endpoints, len(self.endpoints))


def _stage() -> AbstractAsyncContextManager[Stage]:
    return stage(ARPILOT_WEBHOOKS_ALLOW_INSECURE="true")


async def _side(running: Stage, sink: dispatching.Sink, invoices: int) -> Side:
    return Side(running, sink, await reading.fill(running, invoices))


async def _history(running: Stage) -> None:
    conn = await running.connect()
    await conn.execute(BENCH_UUID)
    for statement in (HISTORY, DELIVERED):
        await conn.execute(statement, UUID(running.tenants[0].tenant_id), STORED // dispatching.ENDPOINTS)
    await conn.execute("vacuum analyze webhooks.events, webhooks.deliveries")
    await conn.close()


async def _compare(name: str, sides: list[Side], measure: Callable[[Side], Awaitable[float]]) -> Row:
    empty, full = sides
    pairs = [(await measure(empty), await measure(full)) for _ in range(ROUNDS + 1)][1:]
    detail = f"{median([b for _, b in pairs]):.0f}/s against {median([a for a, _ in pairs]):.0f}/s"
    return Row(name, 0.9, median([b / a for a, b in pairs]), at_least=True, detail=detail)
