"""Deliveries, the queue of what is still to be delivered, and the attempts: rows and SQL.

A claim is a lease on rows of `queue`: it carries a number that only grows (the fencing), and belongs to a dispatcher
that is known to live. A result counts only while the row still carries the number that it was claimed with.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.webhooks.deliveries.model import Status, Want
from services.webhooks.endpoints.health import Health
from services.webhooks.endpoints.store import Key, health_of
from services.webhooks.log.model import first_id
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where


class Item(msgspec.Struct, frozen=True):
    """An event that an endpoint is to get."""

    tenant_id: UUID
    endpoint_id: UUID
    event_id: UUID
    id: UUID
    event_type: str
    subject: UUID
    sequence: int
    ordered: bool


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An active endpoint with deliveries that nobody has claimed, and since when they are due."""

    tenant_id: UUID
    endpoint_id: UUID
    ordered: bool
    rate_limit_per_second: int | None
    health: Health
    first_due_at: datetime | None
    """Of those that have not been tried yet; None: there are none."""
    retry_due_at: datetime | None

    @property
    def key(self) -> Key:
        return self.tenant_id, self.endpoint_id


class Claim(msgspec.Struct, frozen=True):
    """A delivery that this dispatcher may make now."""

    tenant_id: UUID
    endpoint_id: UUID
    event_id: UUID
    attempts: int
    lease: int
    endpoint_version: int
    payload: str
    traceparent: str | None

    @property
    def key(self) -> Key:
        return self.tenant_id, self.endpoint_id


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What to write down about one attempt."""

    claim: Claim
    status: Status
    due_at: datetime | None
    """Of the next attempt; None: there is none."""
    attempted_at: datetime
    status_code: int | None
    duration_ms: int
    excerpt: str | None
    error: str | None


# Intake

_ITEMS = """
    with item as (
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[],
            $8::boolean[])
            as i (tenant_id, endpoint_id, event_id, id, event_type, subject, sequence, ordered)
    ), stored as (
        insert into deliveries
            (tenant_id, endpoint_id, event_id, id, event_type, status, attempts, created_at, updated_at)
        select tenant_id, endpoint_id, event_id, id, event_type, 'pending', 0, $9, $9 from item
        on conflict (tenant_id, endpoint_id, event_id) {conflict}
        returning tenant_id, endpoint_id, event_id
    )
    insert into queue (tenant_id, endpoint_id, event_id, due_at, ordered, subject, sequence)
    select tenant_id, endpoint_id, event_id, clock_timestamp(), ordered, subject, sequence
    from stored join item using (tenant_id, endpoint_id, event_id)
    on conflict (tenant_id, endpoint_id, event_id) do update set due_at = least(queue.due_at, excluded.due_at)
"""
PUT = _ITEMS.format(conflict="do nothing")
PUT_AGAIN = _ITEMS.format(conflict="do update set status = 'pending', updated_at = excluded.updated_at")


async def put(conn: Conn, items: Sequence[Item], *, now: datetime, again: bool = False) -> None:
    """One delivery for each event and endpoint; with `again` also what was settled before is delivered anew.

    Due at once by the database's clock: a host whose clock is ahead must not make the others wait.
    """
    await conn.execute(
        PUT_AGAIN if again else PUT,
        [item.tenant_id for item in items],
        [item.endpoint_id for item in items],
        [item.event_id for item in items],
        [item.id for item in items],
        [item.event_type for item in items],
        [item.subject for item in items],
        [item.sequence for item in items],
        [item.ordered for item in items],
        now,
    )


# Dispatch

DUE = """
    with recursive lane as (
        (select tenant_id, endpoint_id from queue order by tenant_id, endpoint_id limit 1)
        union all
        select n.tenant_id, n.endpoint_id from lane l cross join lateral (
            select q.tenant_id, q.endpoint_id from queue q
            where (q.tenant_id, q.endpoint_id) > (l.tenant_id, l.endpoint_id)
            order by q.tenant_id, q.endpoint_id limit 1
        ) n
    ), due as (
        select l.*, e.ordered, e.rate_limit_per_second, (
            select q.due_at from queue q
            where q.tenant_id = l.tenant_id and q.endpoint_id = l.endpoint_id and not q.is_retry
                and q.due_at <= $1 and q.lease is null
            order by q.due_at limit 1
        ) as first_due_at, (
            select q.due_at from queue q
            where q.tenant_id = l.tenant_id and q.endpoint_id = l.endpoint_id and q.is_retry
                and q.due_at <= $1 and q.lease is null
            order by q.due_at limit 1
        ) as retry_due_at
        from lane l join endpoints e on e.tenant_id = l.tenant_id and e.id = l.endpoint_id and e.is_active
    )
    select d.*, h.failures, h.failing_since, h.last_success_at, h.open_until, h.cooldown_seconds, h.paused_until
    from due d left join health h on h.tenant_id = d.tenant_id and h.endpoint_id = d.endpoint_id
    where d.first_due_at is not null or d.retry_due_at is not null
"""


async def due(conn: Conn, now: datetime) -> list[Due]:
    """The endpoints with something to deliver: a skip along the index, so its cost is theirs, not the queue's."""
    return [
        Due(
            tenant_id=row["tenant_id"],
            endpoint_id=row["endpoint_id"],
            ordered=row["ordered"],
            rate_limit_per_second=row["rate_limit_per_second"],
            health=health_of(row),
            first_due_at=row["first_due_at"],
            retry_due_at=row["retry_due_at"],
        )
        for row in await conn.fetch(DUE, now)
    ]


CLAIM = """
    with alive as materialized (
        select nextval('lease_numbers') as lease from dispatchers where id = $1 for key share
    ), picked as (
        select p.* from alive
        cross join unnest($2::uuid[], $3::uuid[], $4::boolean[], $5::integer[])
            as w (tenant_id, endpoint_id, is_retry, count)
        cross join lateral (
            select q.tenant_id, q.endpoint_id, q.event_id from queue q
            where q.tenant_id = w.tenant_id and q.endpoint_id = w.endpoint_id and q.is_retry = w.is_retry
                and q.due_at <= $6 and q.lease is null
                and (not q.ordered or not exists (
                    select from queue b
                    where b.tenant_id = q.tenant_id and b.endpoint_id = q.endpoint_id and b.subject = q.subject
                        and b.ordered and (b.sequence, b.event_id) < (q.sequence, q.event_id)))
            order by q.due_at, q.sequence, q.event_id limit w.count for update of q skip locked
        ) p
    ), claimed as (
        update queue q set lease = alive.lease, dispatcher = $1 from picked p, alive
        where q.tenant_id = p.tenant_id and q.endpoint_id = p.endpoint_id and q.event_id = p.event_id
        returning q.tenant_id, q.endpoint_id, q.event_id, q.attempts, q.lease
    )
    select c.*, n.version, e.payload, e.traceparent from claimed c
    join endpoints n on n.tenant_id = c.tenant_id and n.id = c.endpoint_id
    join events e on e.tenant_id = c.tenant_id and e.id = c.event_id
"""


async def claim(
    conn: Conn, dispatcher: UUID, tenants: Mapping[UUID, UUID], wants: Sequence[Want], *, now: datetime
) -> list[Claim]:
    """Lease due deliveries. `tenants` says whose an endpoint is. A dispatcher that counts as dead gets nothing."""
    rows = await conn.fetch(
        CLAIM,
        dispatcher,
        [tenants[want.endpoint_id] for want in wants],
        [want.endpoint_id for want in wants],
        [want.is_retry for want in wants],
        [want.count for want in wants],
        now,
    )
    return [Claim(*row) for row in rows]


_KEYS = "q.tenant_id = r.tenant_id and q.endpoint_id = r.endpoint_id and q.event_id = r.event_id and q.lease = r.lease"
SETTLE = f"""
    with result as (
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[],
            $7::timestamptz[], $8::integer[], $9::integer[], $10::text[], $11::text[])
            as r (tenant_id, endpoint_id, event_id, lease, status, due_at, attempted_at, status_code, duration_ms,
                response_excerpt, error)
    ), over as (
        delete from queue q using result r where {_KEYS} and r.due_at is null
        returning q.tenant_id, q.endpoint_id, q.event_id
    ), again as (
        update queue q
        set is_retry = true, attempts = q.attempts + 1, due_at = r.due_at, lease = null, dispatcher = null
        from result r where {_KEYS} and r.due_at is not null
        returning q.tenant_id, q.endpoint_id, q.event_id
    ), settled as (
        select r.* from (select * from over union all select * from again) s
        join result r using (tenant_id, endpoint_id, event_id)
    ), told as (
        update deliveries d set status = s.status, attempts = d.attempts + 1, updated_at = $12
        from settled s
        where d.tenant_id = s.tenant_id and d.endpoint_id = s.endpoint_id and d.event_id = s.event_id
        returning d.attempts, s.tenant_id, s.endpoint_id, s.event_id, s.attempted_at, s.status_code, s.duration_ms,
            s.response_excerpt, s.error
    ), counted as (
        insert into tallies as t
        select tenant_id, endpoint_id, date_trunc('hour', $12::timestamptz, 'UTC'),
            count(*) filter (where status = 'delivered'), count(*) filter (where status <> 'delivered')
        from settled group by 1, 2 order by 1, 2
        on conflict (tenant_id, endpoint_id, hour)
        do update set delivered = t.delivered + excluded.delivered, failed = t.failed + excluded.failed
    )
    insert into attempts (attempt, tenant_id, endpoint_id, event_id, attempted_at, status_code, duration_ms,
        response_excerpt, error)
    select * from told
    returning endpoint_id, event_id
"""


async def settle(conn: Conn, settlements: Sequence[Settlement], *, now: datetime) -> set[tuple[UUID, UUID]]:
    """Write results down, all at once; returns (endpoint, event) of those whose lease still held."""
    rows = await conn.fetch(
        SETTLE,
        [each.claim.tenant_id for each in settlements],
        [each.claim.endpoint_id for each in settlements],
        [each.claim.event_id for each in settlements],
        [each.claim.lease for each in settlements],
        [each.status for each in settlements],
        [each.due_at for each in settlements],
        [each.attempted_at for each in settlements],
        [each.status_code for each in settlements],
        [each.duration_ms for each in settlements],
        [each.excerpt for each in settlements],
        [each.error for each in settlements],
        now,
    )
    return {(row["endpoint_id"], row["event_id"]) for row in rows}


async def lock_meters(conn: Conn, keys: Sequence[Key]) -> dict[Key, datetime]:
    """The meters of rate limits, held until the claim that they are for commits; one order, so nobody deadlocks."""
    rows = await conn.fetch(
        """
        insert into meters as m select tenant_id, id, '-infinity'
        from unnest($1::uuid[], $2::uuid[]) as k (tenant_id, id) order by 1, 2
        on conflict (tenant_id, endpoint_id) do update set meter = m.meter
        returning m.tenant_id, m.endpoint_id, greatest(m.meter, '2000-01-01Z'::timestamptz) as meter
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["tenant_id"], row["endpoint_id"]): row["meter"] for row in rows}


async def save_meters(conn: Conn, meters: Mapping[Key, datetime]) -> None:
    """The meters after what was let through."""
    await conn.execute(
        """
        update meters m set meter = k.meter
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as k (tenant_id, endpoint_id, meter)
        where m.tenant_id = k.tenant_id and m.endpoint_id = k.endpoint_id
        """,
        [key[0] for key in meters],
        [key[1] for key in meters],
        list(meters.values()),
    )


# Dispatchers and their leases


async def register(conn: Conn, dispatcher: UUID, lease_seconds: float) -> None:
    """A new dispatcher lives."""
    await conn.execute(
        "insert into dispatchers values ($1, clock_timestamp() + make_interval(secs => $2))", dispatcher, lease_seconds
    )


async def succeed(conn: Conn, old: UUID, new: UUID, leases: Collection[int]) -> None:
    """Go on under another name with these leases only; others of the old name are nobody's.

    A claim whose answer was lost may still be at work, or on its way: deleting the old name waits for the one and
    leaves nothing to the other.
    """
    await conn.execute("delete from dispatchers where id = $1", old)
    await conn.execute(
        """
        update queue set dispatcher = case when lease = any($3::bigint[]) then $2::uuid end,
            lease = case when lease = any($3::bigint[]) then lease end
        where dispatcher = $1
        """,
        old,
        new,
        list(leases),
    )


async def instant(conn: Conn) -> datetime:
    """What the database says that it is now."""
    at: datetime = await conn.fetchval("select clock_timestamp()")
    return at


async def still_alive(conn: Conn, dispatcher: UUID, lease_seconds: float) -> bool:
    """Say so; False when the others have given it up, and its leases with it."""
    return bool(
        await conn.fetchval(
            """
            update dispatchers set alive_until = clock_timestamp() + make_interval(secs => $2) where id = $1
            returning true
            """,
            dispatcher,
            lease_seconds,
        )
    )


async def bury_dead(conn: Conn) -> int:
    """Free what dispatchers held that have not been heard of; returns how many deliveries.

    Deleting the dispatcher waits for a claim that it is just making; the second statement then sees that claim.
    """
    rows = await conn.fetch("delete from dispatchers where alive_until < clock_timestamp() returning id")
    return await _free(conn, [row["id"] for row in rows]) if rows else 0


async def hand_back(conn: Conn, dispatcher: UUID) -> int:
    """A dispatcher that stops gives back what it has not delivered."""
    await conn.execute("delete from dispatchers where id = $1", dispatcher)
    return await _free(conn, [dispatcher])


async def _free(conn: Conn, dispatchers: Sequence[UUID]) -> int:
    done = await conn.execute(
        "update queue set lease = null, dispatcher = null where dispatcher = any($1::uuid[])", dispatchers
    )
    return int(done.split()[-1])


async def depth(conn: Conn) -> int:
    """How many deliveries are outstanding."""
    return int(await conn.fetchval("select count(*) from queue"))


# History

SORTS = {"created_at": Sort("d.id", UUID, column="id")}
SELECT = """
    select d.id, d.event_id, d.event_type, d.status, q.due_at as next_attempt_at, d.created_at, d.updated_at
    from deliveries d
    left join queue q on q.tenant_id = d.tenant_id and q.endpoint_id = d.endpoint_id and q.event_id = d.event_id
"""


async def listed(
    conn: Conn, key: Key, query: PageQuery, *, statuses: Sequence[Status] | None, types: Sequence[str] | None
) -> Page[dict[str, object]]:
    """The deliveries of one endpoint, each with its attempts."""
    where = Where("d.tenant_id", key[0])
    where.add("d.endpoint_id = ?", key[1])
    if statuses is not None:
        where.add("d.status = any(?::text[])", statuses)
    if types is not None:
        where.add("d.event_type = any(?::text[])", types)
    page = await pages.fetch(conn, SELECT, where, query, sorts=SORTS, id_expression="d.id")
    tried = await _attempts(conn, key, [row["event_id"] for row in page.rows])
    return page.map(lambda row: {**row, "attempts": tried.get(row["event_id"], [])})


async def _attempts(conn: Conn, key: Key, event_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, object]]]:
    found: dict[UUID, list[dict[str, object]]] = {}
    for row in await conn.fetch(
        """
        select event_id, attempt, attempted_at, status_code, duration_ms, response_excerpt, error from attempts
        where tenant_id = $1 and endpoint_id = $2 and event_id = any($3::uuid[]) order by event_id, attempt
        """,
        *key,
        event_ids,
    ):
        found.setdefault(row["event_id"], []).append(dict(row))
    return found


FIND = """
    select d.tenant_id, d.endpoint_id, d.event_id, d.id, d.event_type, e.subject, e.sequence, n.ordered
    from deliveries d
    join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
    join endpoints n on n.tenant_id = d.tenant_id and n.id = d.endpoint_id
    where d.tenant_id = $1 and d.endpoint_id = $2
"""


async def find(conn: Conn, key: Key, delivery_id: UUID) -> Item | None:
    """One delivery, as it would be put into the queue."""
    row = await conn.fetchrow(f"{FIND} and d.id = $3", *key, delivery_id)
    return Item(*row) if row else None


async def failed_between(
    conn: Conn, key: Key, *, start: datetime, end: datetime, types: Sequence[str], limit: int
) -> list[Item]:
    """What was given up, of events in a range of time."""
    rows = await conn.fetch(
        f"""{FIND} and d.status = 'failed' and d.event_id >= $3 and d.event_id < $4 and d.event_type = any($5::text[])
        order by d.event_id limit $6""",
        *key,
        first_id(start),
        first_id(end),
        types,
        limit,
    )
    return [Item(*row) for row in rows]


async def sweep(conn: Conn, keep_from: datetime) -> None:
    """Remove what is left of events that are not kept any more, and counts that nobody looks at."""
    oldest = first_id(keep_from)
    await conn.execute("delete from attempts_default where event_id < $1", oldest)
    await conn.execute("delete from deliveries_default where event_id < $1", oldest)
    await conn.execute(
        """
        delete from queue q where q.event_id < $1
            and not exists (select from events e where e.tenant_id = q.tenant_id and e.id = q.event_id)
        """,
        oldest,
    )
    await conn.execute("delete from tallies where hour < now() - interval '25 hours'")
