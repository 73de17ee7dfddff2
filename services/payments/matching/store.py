"""Our copy of the invoices, the aliases, the payments that wait, the trail and the settings.

Every transaction that changes the copy takes the tenant's next tick first, and with it the lock on the tenant's clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from services.payments.matching import references
from services.payments.matching.model import OpenInvoice, Rules
from services.payments.matching.references import Form
from shared.db import Conn
from shared.ids import uuid7

MAX_CLOSED = 2000
MAX_REQUEUED = 500
NOT_PAYABLE = ("draft", "cancelled", "deleted")


class KnownInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """What we know of an invoice, from its newest event."""

    id: UUID
    customer_id: UUID
    customer_name: str
    number: str | None
    currency: str
    amount_cents: int
    due_cents: int
    claimed_cents: int = 0
    issue_date: date
    due_date: date
    terms: str | None
    status: str
    archived: bool
    sequence: int
    tick: int = 0
    counted: Sequence[UUID] = ()
    """Allocations that the amount due has taken into account already."""

    @property
    def free_cents(self) -> int:
        """What is due and not asked for by a payment already."""
        return max(0, self.due_cents - self.claimed_cents)

    @property
    def is_payable(self) -> bool:
        return self.status not in NOT_PAYABLE

    @property
    def name(self) -> str:
        return self.number or str(self.id)


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """How often a name was right, and wrong, for a customer."""

    name_key: str
    customer_id: UUID
    confirmed: int
    undone: int
    tick: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's settings of cash application; `tolerance_cents` is what a short payment may lack."""

    auto_match: bool = True
    threshold: float = 0.95
    tolerance_cents: int = 0

    @property
    def rules(self) -> Rules:
        return Rules(threshold=self.threshold, tolerance_cents=self.tolerance_cents)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with money left, and by what an invoice could turn out to explain it."""

    payment_id: UUID
    amount_cents: int
    payer_key: str | None
    text_keys: list[str]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit trail."""

    id: UUID
    payment_id: UUID
    action: str
    invoice_ids: Sequence[UUID]
    actor: str
    rule: str | None
    confidence: float | None
    evidence: Sequence[str]
    created_at: datetime


_COLUMNS = """id, customer_id, customer_name, number, currency, amount_cents, due_cents, claimed_cents, issue_date,
    due_date, terms, status, archived, sequence, tick"""


async def next_tick(conn: Conn, tenant_id: UUID) -> int:
    """Lock the tenant's clock and move it on; whatever is written under it carries this tick."""
    return (await next_ticks(conn, [tenant_id]))[tenant_id]


async def next_ticks(conn: Conn, tenant_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The same for several tenants, locked in the order of their ids."""
    rows = await conn.fetch(
        """insert into matching_clocks (tenant_id, tick) select tenant_id, 1 from unnest($1::uuid[]) as tenant_id
           on conflict (tenant_id) do update set tick = matching_clocks.tick + 1 returning tenant_id, tick""",
        sorted(tenant_ids),
    )
    return {row["tenant_id"]: row["tick"] for row in rows}


async def put_invoices(conn: Conn, invoices: Mapping[UUID, Sequence[KnownInvoice]], ticks: Mapping[UUID, int]) -> None:
    """Keep the newest of each invoice, by tenant, and what is claimed of it."""
    told = [(tenant_id, ticks[tenant_id], i) for tenant_id, some in invoices.items() for i in some]
    rows = await conn.fetch(
        """insert into known_invoices as known (tenant_id, tick, id, customer_id, customer_name, number, number_keys,
               currency, amount_cents, due_cents, issue_date, due_date, terms, status, archived, sequence, counted)
           select tenant_id, tick, id, customer_id, customer_name, number, string_to_array(keys, ' '), currency,
               amount_cents, due_cents, issue_date, due_date, terms, status, archived, sequence,
               string_to_array(counted, ' ')::uuid[]
           from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
               $8::text[], $9::bigint[], $10::bigint[], $11::date[], $12::date[], $13::text[], $14::text[],
               $15::boolean[], $16::bigint[], $17::text[])
               as news (tenant_id, tick, id, customer_id, customer_name, number, keys, currency, amount_cents,
                        due_cents, issue_date, due_date, terms, status, archived, sequence, counted)
           on conflict (tenant_id, id) do update set customer_id = excluded.customer_id,
               customer_name = excluded.customer_name, number = excluded.number, number_keys = excluded.number_keys,
               currency = excluded.currency, amount_cents = excluded.amount_cents, due_cents = excluded.due_cents,
               issue_date = excluded.issue_date, due_date = excluded.due_date, terms = excluded.terms,
               status = excluded.status, archived = excluded.archived, sequence = excluded.sequence,
               counted = excluded.counted, tick = excluded.tick
               where known.sequence < excluded.sequence and known.status <> 'deleted'
           returning tenant_id, id, tick""",
        [tenant_id for tenant_id, _, _ in told],
        [tick for _, tick, _ in told],
        [i.id for _, _, i in told],
        [i.customer_id for _, _, i in told],
        [i.customer_name for _, _, i in told],
        [i.number for _, _, i in told],
        [" ".join(number_keys(i.number)) for _, _, i in told],
        [i.currency for _, _, i in told],
        [i.amount_cents for _, _, i in told],
        [i.due_cents for _, _, i in told],
        [i.issue_date for _, _, i in told],
        [i.due_date for _, _, i in told],
        [i.terms for _, _, i in told],
        [i.status for _, _, i in told],
        [i.archived for _, _, i in told],
        [i.sequence for _, _, i in told],
        [" ".join(str(allocation_id) for allocation_id in i.counted) for _, _, i in told],
    )
    if rows:
        await _claim(conn, [(row["tenant_id"], row["id"], row["tick"]) for row in rows])


def number_keys(number: str | None) -> list[str]:
    """The keys under which a number counts as written out; never holds a blank."""
    return [key for key, form in references.number(number).keys.items() if form is not Form.TAIL] if number else []


async def known(conn: Conn, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, KnownInvoice]:
    """What we know of these invoices."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from known_invoices where tenant_id = $1 and id = any($2)",
        tenant_id,
        ids,
    )
    return {row["id"]: msgspec.convert(row, KnownInvoice) for row in rows}


async def open_invoices(conn: Conn, tenant_id: UUID) -> list[KnownInvoice]:
    """All that has something due."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from known_invoices where tenant_id = $1"
        " and due_cents > 0 and not archived and status not in ('draft', 'cancelled', 'deleted')",
        tenant_id,
    )
    return [msgspec.convert(row, KnownInvoice) for row in rows]


async def changed_invoices(conn: Conn, tenant_id: UUID, after: int) -> list[KnownInvoice]:
    """All that changed after a tick."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from known_invoices where tenant_id = $1 and tick > $2",
        tenant_id,
        after,
    )
    return [msgspec.convert(row, KnownInvoice) for row in rows]


async def tick_now(conn: Conn, tenant_id: UUID) -> int:
    tick: int | None = await conn.fetchval("select tick from matching_clocks where tenant_id = $1", tenant_id)
    return tick or 0


async def changed_aliases(conn: Conn, tenant_id: UUID, after: int) -> list[Alias]:
    rows = await conn.fetch(
        "select name_key, customer_id, confirmed, undone, tick from payer_aliases where tenant_id = $1 and tick > $2",
        tenant_id,
        after,
    )
    return [msgspec.convert(row, Alias) for row in rows]


async def aliases_of(conn: Conn, tenant_id: UUID, customer_ids: set[UUID]) -> set[str]:
    """The other names under which these customers pay."""
    rows = await conn.fetch(
        "select name_key from payer_aliases where tenant_id = $1 and customer_id = any($2) and confirmed > undone",
        tenant_id,
        sorted(customer_ids),
    )
    return {row["name_key"] for row in rows}


def open_invoice(known_invoice: KnownInvoice) -> OpenInvoice:
    """The invoice as matching sees it; nothing is due on one that takes no money."""
    payable = known_invoice.is_payable and not known_invoice.archived
    return OpenInvoice(
        id=known_invoice.id,
        customer_id=known_invoice.customer_id,
        customer_name=known_invoice.customer_name,
        number=known_invoice.number,
        currency=known_invoice.currency,
        amount_cents=known_invoice.amount_cents,
        due_cents=known_invoice.free_cents if payable else 0,
        issue_date=known_invoice.issue_date,
        due_date=known_invoice.due_date,
        terms=known_invoice.terms,
    )


async def closed_numbers(conn: Conn, tenant_id: UUID, keys: Sequence[str]) -> dict[str, UUID]:
    """Which of these keys belong to invoices on which nothing is due, and to whose."""
    rows = await conn.fetch(
        """select number_keys, customer_id from known_invoices
           where tenant_id = $1 and number_keys && $2::text[]
             and (due_cents <= claimed_cents or archived or status in ('draft', 'cancelled'))
           limit $3""",
        tenant_id,
        keys,
        MAX_CLOSED,
    )
    return {key: row["customer_id"] for row in rows for key in row["number_keys"]}


async def claim(conn: Conn, tenant_id: UUID, invoice_ids: Sequence[UUID], tick: int) -> None:
    """Recompute what payments have asked of these invoices that the amount due does not show yet.

    What is pending, and what is applied but not in the newest event.
    """
    await _claim(conn, [(tenant_id, invoice_id, tick) for invoice_id in sorted(set(invoice_ids))])


async def _claim(conn: Conn, invoices: Sequence[tuple[UUID, UUID, int]]) -> None:
    """The only place where it is written. Invoices that no payment ever asked anything of cost a look at an index."""
    await conn.execute(
        """update known_invoices known set tick = claims.tick, claimed_cents = claims.cents
           from (select i.tenant_id, i.id, told.tick, coalesce(sum(a.write_off_cents + case when a.state = 'pending'
                        then a.amount_cents else a.applied_cents end)
                        filter (where a.state = 'pending'
                            or (a.state in ('applied', 'reversing') and not a.id = any(i.counted))), 0) as cents
                 from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as told (tenant_id, id, tick)
                 join allocations a on a.tenant_id = told.tenant_id and a.invoice_id = told.id
                 join known_invoices i on i.tenant_id = told.tenant_id and i.id = told.id
                 group by i.tenant_id, i.id, told.tick) claims
           where known.tenant_id = claims.tenant_id and known.id = claims.id and known.claimed_cents <> claims.cents""",
        [tenant_id for tenant_id, _, _ in invoices],
        [invoice_id for _, invoice_id, _ in invoices],
        [tick for _, _, tick in invoices],
    )


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID, tick: int) -> None:
    """Nothing of a customer that is gone may be matched, and no name of it stays."""
    await conn.execute(
        """update known_invoices set status = 'deleted', due_cents = 0, customer_name = '', number = null,
               number_keys = '{}', terms = null, tick = $3
           where tenant_id = $1 and customer_id = $2""",
        tenant_id,
        customer_id,
        tick,
    )
    await conn.execute("delete from payer_aliases where tenant_id = $1 and customer_id = $2", tenant_id, customer_id)


async def teach(conn: Conn, tenant_id: UUID, lessons: Sequence[tuple[str, UUID, bool]], tick: int) -> None:
    """Note for each (name key, customer, right?) that the name was right for the customer, or wrong."""
    for name_key, customer_id, right in sorted(set(lessons)):
        await conn.execute(
            """insert into payer_aliases as known (tenant_id, name_key, customer_id, confirmed, undone, tick)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (tenant_id, name_key, customer_id) do update set confirmed = known.confirmed + $4,
                   undone = known.undone + $5, tick = $6""",
            tenant_id,
            name_key,
            customer_id,
            int(right),
            int(not right),
            tick,
        )


async def put_waiting(conn: Conn, tenant_id: UUID, waiting: Sequence[Waiting], queued_at: datetime | None) -> None:
    """Remember payments with money left; those with a time are examined next."""
    await conn.executemany(
        """insert into waiting_payments (tenant_id, payment_id, amount_cents, payer_key, text_keys, queued_at)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (tenant_id, payment_id) do update set amount_cents = excluded.amount_cents,
               payer_key = excluded.payer_key, text_keys = excluded.text_keys,
               queued_at = coalesce(excluded.queued_at, waiting_payments.queued_at)""",
        [(tenant_id, w.payment_id, w.amount_cents, w.payer_key, w.text_keys, queued_at) for w in waiting],
    )


async def tenants_with_work(conn: Conn, limit: int) -> list[UUID]:
    """Tenants whose payments are to be examined, those that wait longest first."""
    rows = await conn.fetch(
        "select tenant_id from waiting_payments where queued_at is not null group by tenant_id"
        " order by min(queued_at) limit $1",
        limit,
    )
    return [row["tenant_id"] for row in rows]


async def take_queued(conn: Conn, tenant_id: UUID, limit: int) -> list[UUID]:
    """Take payments off the queue, those that wait longest; they go on waiting, unqueued."""
    rows = await conn.fetch(
        """update waiting_payments set queued_at = null where tenant_id = $1 and payment_id in (
               select payment_id from waiting_payments where tenant_id = $1 and queued_at is not null
               order by queued_at limit $2 for update skip locked)
           returning payment_id""",
        tenant_id,
        limit,
    )
    return [row["payment_id"] for row in rows]


async def leave_queue(conn: Conn, tenant_id: UUID, payment_id: UUID) -> None:
    """Examine a payment no more until something new may explain it."""
    await conn.execute(
        "update waiting_payments set queued_at = null where tenant_id = $1 and payment_id = $2", tenant_id, payment_id
    )


async def waiting_after(conn: Conn, tenant_id: UUID, after: UUID, limit: int) -> list[UUID]:
    """Payments that wait, by id, those after a given one."""
    rows = await conn.fetch(
        "select payment_id from waiting_payments where tenant_id = $1 and payment_id > $2 order by payment_id limit $3",
        tenant_id,
        after,
        limit,
    )
    return [row["payment_id"] for row in rows]


async def count_waiting(conn: Conn, tenant_id: UUID, after: UUID) -> int:
    count: int = await conn.fetchval(
        "select count(*) from waiting_payments where tenant_id = $1 and payment_id > $2", tenant_id, after
    )
    return count


async def stop_waiting(conn: Conn, tenant_id: UUID, payment_ids: Sequence[UUID]) -> None:
    await conn.execute(
        "delete from waiting_payments where tenant_id = $1 and payment_id = any($2)", tenant_id, sorted(payment_ids)
    )


async def that_wait(conn: Conn, tenant_ids: Iterable[UUID]) -> list[UUID]:
    """Those of these tenants that have a payment which waits for its invoice."""
    rows = await conn.fetch(
        """select tenant_id from unnest($1::uuid[]) as told (tenant_id)
           where exists (select from waiting_payments w where w.tenant_id = told.tenant_id and w.queued_at is null)""",
        list(tenant_ids),
    )
    return [row["tenant_id"] for row in rows]


async def requeue(
    conn: Conn, tenant_id: UUID, invoices: Sequence[KnownInvoice], payer_keys: Sequence[str], now: datetime
) -> None:
    """Queue the payments that these new or changed invoices may explain, the newest first, a bounded number."""
    await conn.execute(
        """update waiting_payments set queued_at = $5 where tenant_id = $1 and queued_at is null and payment_id in (
               select payment_id from waiting_payments where tenant_id = $1 and queued_at is null
                 and (amount_cents = any($2) or payer_key = any($3) or text_keys && $4)
               order by payment_id desc limit $6)""",
        tenant_id,
        [invoice.due_cents for invoice in invoices],
        payer_keys,
        [key for invoice in invoices for key in number_keys(invoice.number)],
        now,
        MAX_REQUEUED,
    )


async def note(conn: Conn, tenant_id: UUID, decisions: Sequence[Decision]) -> None:
    """Add to the audit trail."""
    await conn.executemany(
        """insert into matching_trail (tenant_id, id, payment_id, action, invoice_ids, actor, rule, confidence,
            evidence,
               created_at) values ($1, $2, $3, $4, $5, $6, $7, $8::float8::numeric, $9, $10)""",
        [
            (
                tenant_id,
                d.id,
                d.payment_id,
                d.action,
                list(d.invoice_ids),
                d.actor,
                d.rule,
                d.confidence,
                list(d.evidence),
                d.created_at,
            )
            for d in decisions
        ],
    )


async def trail(conn: Conn, tenant_id: UUID, payment_id: UUID) -> list[Decision]:
    """All decisions about a payment, the first first."""
    rows = await conn.fetch(
        "select id, payment_id, action, invoice_ids, actor, rule, confidence::float8 as confidence, evidence,"
        " created_at"
        " from matching_trail where tenant_id = $1 and payment_id = $2 order by created_at, id",
        tenant_id,
        payment_id,
    )
    return [msgspec.convert(row, Decision) for row in rows]


async def undone(conn: Conn, tenant_id: UUID, payment_ids: Sequence[UUID]) -> dict[UUID, frozenset[UUID]]:
    """The invoices that people took each payment off."""
    rows = await conn.fetch(
        """select payment_id, array_agg(invoice_id) as invoice_ids from matching_trail,
            unnest(invoice_ids) as invoice_id
           where tenant_id = $1 and payment_id = any($2) and action = 'undone' group by payment_id""",
        tenant_id,
        payment_ids,
    )
    return {row["payment_id"]: frozenset(row["invoice_ids"]) for row in rows}


async def settings(conn: Conn, tenant_id: UUID) -> Settings:
    """The tenant's settings, or the defaults."""
    row = await conn.fetchrow(
        "select auto_match, threshold::float8 as threshold, tolerance_cents"
        " from matching_settings where tenant_id = $1",
        tenant_id,
    )
    return msgspec.convert(row, Settings) if row else Settings()


async def put_settings(conn: Conn, tenant_id: UUID, wanted: Settings) -> None:
    await conn.execute(
        """insert into matching_settings (tenant_id, auto_match, threshold, tolerance_cents)
           values ($1, $2, $3::float8::numeric, $4)
           on conflict (tenant_id) do update set auto_match = $2, threshold = $3::float8::numeric,
           tolerance_cents = $4""",
        tenant_id,
        wanted.auto_match,
        wanted.threshold,
        wanted.tolerance_cents,
    )


def decision(
    payment_id: UUID,
    action: str,
    invoice_ids: Sequence[UUID],
    *,
    actor: str,
    now: datetime,
    rule: str | None = None,
    confidence: float | None = None,
    evidence: Sequence[str] = (),
) -> Decision:
    """A new line of the trail."""
    return Decision(
        id=uuid7(),
        payment_id=payment_id,
        action=action,
        invoice_ids=invoice_ids,
        actor=actor,
        rule=rule,
        confidence=confidence,
        evidence=evidence,
        created_at=now,
    )
