"""What making an invoice reads and writes, each in one round trip."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.issuing.errors import NumberTaken
from services.invoices.issuing.model import Facts
from services.invoices.ledger import store as ledger
from services.invoices.ledger.model import Entry
from services.invoices.settlement import store as settlement
from services.invoices.settlement.model import Receivable
from shared import outbox
from shared.db import Conn
from shared.events import NewEvent
from shared.http import idempotency

LOAD_FACTS = "select load_facts($1, $2, $3, $4, $5) as facts"
CREATE = f"select * from create_invoices_knowing({', '.join(f'${n}' for n in range(1, 22))})"
STALE = "stale"
"""The refusal of an invoice made from facts that have changed since."""
AGAIN = "again"
"""That of its neighbours, which are made without it."""

_facts = msgspec.json.Decoder(Facts)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What requests name and must be looked up."""

    customers: frozenset[UUID] = frozenset()
    products: frozenset[UUID] = frozenset()
    rates: frozenset[UUID] = frozenset()
    accounts: frozenset[UUID] = frozenset()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a request with an Idempotency-Key gets again; its number is filled in when it is taken."""

    attempt: idempotency.Attempt
    body: bytes


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice to be made, with all that is written along with it."""

    invoice: Receivable
    shown: msgspec.Raw
    """What the API shows of it; `invoice_number` is null while it is still to be taken."""
    number_prefix: str | None
    entries: tuple[Entry, ...]
    events: tuple[NewEvent, ...]
    kept: Kept | None = None
    facts_version: int | None = None
    """That of the facts that it is made from, where they may be old."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: its number, or why it was refused."""

    invoice_number: str | None
    refusal: str | None


async def load_facts(conn: Conn, tenant_id: UUID, names: Names) -> Facts:
    """What the tenant has of all that is named, and its settings."""
    (facts,) = await load_many_facts(conn, [(tenant_id, names)])
    return facts


async def load_many_facts(conn: Conn, wanted: Sequence[tuple[UUID, Names]]) -> list[Facts]:
    """The same for several requests at once, in their order."""
    rows = await conn.fetch(
        LOAD_FACTS,
        [tenant_id for tenant_id, _ in wanted],
        *(
            [_literal(getattr(names, kind)) for _, names in wanted]
            for kind in ("customers", "products", "rates", "accounts")
        ),
    )
    return [_facts.decode(row["facts"]) for row in rows]


def _literal(ids: Iterable[UUID]) -> str:
    """Ids as a literal of an array, since arrays of arrays of several lengths cannot be bound."""
    return f"{{{','.join(map(str, ids))}}}"


async def create(conn: Conn, makings: Sequence[Making]) -> list[Made]:
    """Write invoices with lines, postings and events, numbered; in the order given, each made or refused on its own.

    It is one statement, so that it may be a transaction by itself.
    """
    try:
        rows = await conn.fetch(CREATE, *arguments(makings))
    except asyncpg.UniqueViolationError as error:
        raise taken(error, makings[0].invoice.invoice_number) from error
    made = [Made(invoice_number=row["invoice_number"], refusal=row["refusal"]) for row in rows]
    again = [i for i, one in enumerate(made) if one.refusal == AGAIN]
    if again:
        for i, one in zip(again, await create(conn, [makings[i] for i in again]), strict=True):
            made[i] = one
    return made


def taken(error: asyncpg.UniqueViolationError, number: str | None) -> Exception:
    """The refusal behind a violated index: another transaction took the number first."""
    return NumberTaken(number=number, field="invoice_number") if error.constraint_name == "invoices_number" else error


def arguments(makings: Sequence[Making]) -> tuple[object, ...]:
    """The arguments of CREATE."""
    invoices = [making.invoice for making in makings]
    lines = [line for invoice in invoices for line in settlement.line_rows(invoice)]
    posted = [ledger.rows(making.invoice.tenant_id, making.entries, making.invoice.created_at) for making in makings]
    events = [(making.invoice.id, outbox.row(event)) for making in makings for event in making.events]
    return (
        [making.facts_version for making in makings],
        [invoice.id for invoice in invoices],
        [invoice.tenant_id for invoice in invoices],
        [invoice.invoice_number for invoice in invoices],
        [making.number_prefix for making in makings],
        [invoice.issue_date.year for invoice in invoices],
        f"[{','.join(settlement.encode_row(invoice).decode() for invoice in invoices)}]",
        settlement.encode_lines(lines).decode(),
        ledger.as_json([head for heads, _ in posted for head in heads]),
        ledger.as_json([line for _, entry_lines in posted for line in entry_lines]),
        [invoice_id for invoice_id, _ in events],
        *outbox.columns([row for _, row in events]),
        *_keys(makings),
    )


def _keys(makings: Sequence[Making]) -> tuple[object, ...]:
    kept = [(making.invoice.id, making.kept) for making in makings if making.kept]
    return (
        [invoice_id for invoice_id, _ in kept],
        [one.attempt.route for _, one in kept],
        [one.attempt.key for _, one in kept],
        [one.attempt.fingerprint for _, one in kept],
        [one.body.decode() for _, one in kept],
        idempotency.KEPT_HOURS,
    )


async def remove(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> None:
    """Delete an invoice for good, with its lines."""
    await conn.execute("delete from line_items where tenant_id = $1 and invoice_id = $2", tenant_id, invoice_id)
    await conn.execute("delete from invoices where tenant_id = $1 and id = $2", tenant_id, invoice_id)


async def open_of(conn: Conn, tenant_id: UUID, customer_id: UUID) -> tuple[int, int]:
    """How many issued invoices of a customer have something due, and how much in cents."""
    row = await conn.fetchrow(
        """select count(*) as invoices, coalesce(sum(amount_due_cents), 0)::bigint as due_cents from invoices
           where tenant_id = $1 and customer_id = $2
               and status not in ('draft', 'cancelled') and amount_due_cents > 0""",
        tenant_id,
        customer_id,
    )
    assert row is not None
    return row["invoices"], row["due_cents"]


async def open_ids(conn: Conn, tenant_id: UUID, customer_id: UUID) -> list[UUID]:
    """The issued invoices of a customer that have something due."""
    rows = await conn.fetch(
        """select id from invoices where tenant_id = $1 and customer_id = $2
           and status not in ('draft', 'cancelled') and amount_due_cents > 0""",
        tenant_id,
        customer_id,
    )
    return [row["id"] for row in rows]


async def erase_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Delete a customer's invoices and all that hangs on them."""
    await conn.execute("select erase_customer($1, $2)", tenant_id, customer_id)


async def take_turn(conn: Conn, invoice_id: UUID) -> None:
    """Let nobody else make this very invoice until the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", str(invoice_id))
