"""Rows of credit notes, what they took of which lines, and where they were applied."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.credits.events import CreditApplication, CreditNote, CreditNoteLine, Posting
from services.invoices.credits.model import Credit, CreditState, Taken
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.money import major

SELECT = """select n.id, n.tenant_id, n.credit_note_number, n.invoice_id, i.invoice_number, n.customer_id, n.dispute_id,
    n.currency, n.reason, n.credit_date as date, n.amount_cents as amount, n.tax_cents, n.applied_cents,
    n.unapplied_cents, n.created_by,
    n.version, n.created_at, n.updated_at
    from credit_notes n left join invoices i on i.tenant_id = n.tenant_id and i.id = n.invoice_id"""

SORTS = {
    "created_at": Sort("n.created_at", datetime),
    "date": Sort("n.credit_date", date),
    "amount": Sort("n.amount_cents", int),
    "credit_note_number": Sort("n.credit_note_number", str),
}


class NewNote(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note that is about to be stored."""

    id: UUID
    credit_note_number: str
    invoice_id: UUID
    customer_id: UUID
    currency: str
    reason: str
    credit_date: date
    credit: Credit
    applied_cents: int
    dispute_id: UUID | None
    created_by: str | None
    created_at: datetime


def entry_source(note_id: UUID) -> str:
    """What the note's entry in the journal is made for."""
    return f"credit_note:{note_id}"


async def find(conn: Conn, tenant_id: UUID, note_id: UUID) -> CreditNote | None:
    """One credit note, whole."""
    rows = await conn.fetch(f"{SELECT} where n.tenant_id = $1 and n.id = $2", tenant_id, note_id)
    return (await _notes(conn, tenant_id, rows))[0] if rows else None


async def page(conn: Conn, tenant_id: UUID, where: Where, query: PageQuery) -> Page[CreditNote]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS, id_expression="n.id")
    return Page(await _notes(conn, tenant_id, rows.rows), rows.pagination)


async def _notes(conn: Conn, tenant_id: UUID, rows: Sequence[asyncpg.Record]) -> list[CreditNote]:
    note_ids = [row["id"] for row in rows]
    lines = await _lines(conn, tenant_id, note_ids)
    applications = await _applications(conn, tenant_id, note_ids)
    postings = await _postings(conn, tenant_id, note_ids)
    return [_note(row, lines[row["id"]], applications[row["id"]], postings[entry_source(row["id"])]) for row in rows]


def _note(
    row: asyncpg.Record,
    lines: Sequence[CreditNoteLine],
    applications: Sequence[CreditApplication],
    postings: Sequence[Posting],
) -> CreditNote:
    return CreditNote(
        id=row["id"],
        credit_note_number=row["credit_note_number"],
        invoice_id=row["invoice_id"],
        invoice_number=row["invoice_number"],
        customer_id=row["customer_id"],
        dispute_id=row["dispute_id"],
        currency=row["currency"],
        reason=row["reason"],
        date=row["date"],
        subtotal=major(row["amount"] - row["tax_cents"]),
        tax_amount=major(row["tax_cents"]),
        amount=major(row["amount"]),
        applied_amount=major(row["applied_cents"]),
        unapplied_amount=major(row["unapplied_cents"]),
        lines=lines,
        applications=applications,
        postings=postings,
        created_by=row["created_by"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def _lines(conn: Conn, tenant_id: UUID, note_ids: Sequence[UUID]) -> dict[UUID, list[CreditNoteLine]]:
    rows = await conn.fetch(
        """select credit_note_id, line_item_id, trim_scale(quantity) as quantity, net_cents from credit_note_lines
           where tenant_id = $1 and credit_note_id = any ($2) order by credit_note_id, position""",
        tenant_id,
        note_ids,
    )
    lines: dict[UUID, list[CreditNoteLine]] = defaultdict(list)
    for row in rows:
        lines[row["credit_note_id"]].append(
            CreditNoteLine(line_item_id=row["line_item_id"], quantity=row["quantity"], amount=major(row["net_cents"]))
        )
    return lines


async def _applications(conn: Conn, tenant_id: UUID, note_ids: Sequence[UUID]) -> dict[UUID, list[CreditApplication]]:
    rows = await conn.fetch(
        """select credit_note_id, invoice_id, amount_cents, created_at from credit_applications
           where tenant_id = $1 and credit_note_id = any ($2) order by credit_note_id, id""",
        tenant_id,
        note_ids,
    )
    applications: dict[UUID, list[CreditApplication]] = defaultdict(list)
    for row in rows:
        applications[row["credit_note_id"]].append(
            CreditApplication(
                invoice_id=row["invoice_id"], amount=major(row["amount_cents"]), created_at=row["created_at"]
            )
        )
    return applications


async def _postings(conn: Conn, tenant_id: UUID, note_ids: Sequence[UUID]) -> dict[str, list[Posting]]:
    rows = await conn.fetch(
        """select e.source, a.code, l.debit_cents, l.credit_cents
           from journal_entries e
           join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
           join accounts a on a.tenant_id = l.tenant_id and a.id = l.account_id
           where e.tenant_id = $1 and e.source = any ($2) order by e.source, l.position""",
        tenant_id,
        [entry_source(note_id) for note_id in note_ids],
    )
    postings: dict[str, list[Posting]] = defaultdict(list)
    for row in rows:
        postings[row["source"]].append(
            Posting(account_code=row["code"], debit=major(row["debit_cents"]), credit=major(row["credit_cents"]))
        )
    return postings


async def taken(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Taken:
    """What earlier notes took of an invoice, which is locked."""
    row = await conn.fetchrow(
        """select coalesce(sum(amount_cents), 0)::bigint as total_cents,
               coalesce(sum(tax_cents), 0)::bigint as tax_cents,
               coalesce(sum(rest_cents), 0)::bigint as rest_cents
           from credit_notes where tenant_id = $1 and invoice_id = $2""",
        tenant_id,
        invoice_id,
    )
    assert row is not None, "a sum is always one row"
    lines = await conn.fetch(
        """select l.line_item_id, sum(l.net_cents)::bigint as net_cents, sum(l.quantity) as quantity
           from credit_notes n join credit_note_lines l on l.tenant_id = n.tenant_id and l.credit_note_id = n.id
           where n.tenant_id = $1 and n.invoice_id = $2 group by l.line_item_id""",
        tenant_id,
        invoice_id,
    )
    return msgspec.convert({**row, "lines": [dict(line) for line in lines]}, Taken)


async def insert(conn: Conn, tenant_id: UUID, note: NewNote) -> None:
    """Store a new credit note and what it takes of which line."""
    await conn.execute(
        """insert into credit_notes (tenant_id, id, credit_note_number, invoice_id, customer_id, currency, reason,
               credit_date, amount_cents, tax_cents, rest_cents, applied_cents, unapplied_cents, dispute_id, created_by,
               created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)""",
        tenant_id,
        note.id,
        note.credit_note_number,
        note.invoice_id,
        note.customer_id,
        note.currency,
        note.reason,
        note.credit_date,
        note.credit.total_cents,
        note.credit.tax_cents,
        note.credit.rest_cents,
        note.applied_cents,
        note.credit.total_cents - note.applied_cents,
        note.dispute_id,
        note.created_by,
        note.created_at,
    )
    await conn.executemany(
        """insert into credit_note_lines (tenant_id, credit_note_id, position, line_item_id, quantity, net_cents)
           values ($1, $2, $3, $4, $5, $6)""",
        [
            (tenant_id, note.id, position, line.line_item_id, line.quantity, line.net_cents)
            for position, line in enumerate(note.credit.lines)
        ],
    )


async def insert_application(
    conn: Conn,
    tenant_id: UUID,
    *,
    application_id: UUID,
    note_id: UUID,
    invoice_id: UUID,
    amount_cents: int,
    now: datetime,
) -> None:
    """Record that some of a note lowered what is due on an invoice."""
    await conn.execute(
        """insert into credit_applications (tenant_id, id, credit_note_id, invoice_id, amount_cents, created_at)
           values ($1, $2, $3, $4, $5, $6)""",
        tenant_id,
        application_id,
        note_id,
        invoice_id,
        amount_cents,
        now,
    )


async def lock(conn: Conn, tenant_id: UUID, note_id: UUID) -> CreditState | None:
    """What is left of a note, kept from changing until the transaction ends; invoices are locked before."""
    row = await conn.fetchrow(
        "select customer_id, currency, unapplied_cents from credit_notes where tenant_id = $1 and id = $2 for update",
        tenant_id,
        note_id,
    )
    return None if row is None else msgspec.convert(row, CreditState)


async def take(conn: Conn, tenant_id: UUID, note_id: UUID, amount_cents: int, *, now: datetime) -> None:
    """Move some of a note, which is locked, from unapplied to applied."""
    await conn.execute(
        """update credit_notes set applied_cents = applied_cents + $3, unapplied_cents = unapplied_cents - $3,
               version = version + 1, updated_at = $4
           where tenant_id = $1 and id = $2""",
        tenant_id,
        note_id,
        amount_cents,
        now,
    )


FORGET = (
    """delete from credit_applications where tenant_id = $1 and credit_note_id in (
           select id from credit_notes where tenant_id = $1 and customer_id = $2 and unapplied_cents = 0)""",
    """delete from credit_note_lines where tenant_id = $1 and credit_note_id in (
           select id from credit_notes where tenant_id = $1 and customer_id = $2 and unapplied_cents = 0)""",
    "delete from credit_notes where tenant_id = $1 and customer_id = $2 and unapplied_cents = 0",
    """update credit_notes set reason = 'Customer deleted', dispute_id = null, version = version + 1, updated_at = $3
       where tenant_id = $1 and customer_id = $2 and reason <> 'Customer deleted'""",
)
"""A note that has money left is a liability of the books (2200), so it stays, without what was said of the customer."""


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID, *, now: datetime) -> None:
    """Remove the credit notes of a customer; the journal keeps their entries."""
    *deletions, blanking = FORGET
    for deletion in deletions:
        await conn.execute(deletion, tenant_id, customer_id)
    await conn.execute(blanking, tenant_id, customer_id, now)
