"""Rows of invoices and their lines, read and written whole."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.lines.model import Line
from services.invoices.settlement.model import Receivable
from shared.db import Conn

BELONGING = frozenset({"email", "lines", "applications"})
"""Members of a Receivable that are not columns of invoices."""

KEY = frozenset({"tenant_id", "id", "created_at"})
COLUMNS = ", ".join(name for name in Receivable.__struct_fields__ if name not in BELONGING | KEY)

LOAD = "select invoice, email, lines, applications from whole_invoices where tenant_id = $1 and id = $2"
LOAD_MANY = "select invoice, email, lines, applications from whole_invoices where tenant_id = $1 and id = any($2)"
LOCK = "select invoice, email, lines, applications from lock_invoices($1, $2)"
# COLUMNS are the names of our own struct, and all values are bound
SAVE = f"""
    update invoices set ({COLUMNS}) = (select {COLUMNS} from jsonb_populate_record(null::invoices, $3))
    where tenant_id = $1 and id = $2
"""
REPLACE_LINES = """
    with gone as (delete from line_items where tenant_id = $1 and invoice_id = $2 and id <> all($3))
    insert into line_items select * from jsonb_populate_recordset(null::line_items, $4)
    on conflict (tenant_id, invoice_id, id) do update set (
        position, description, long_description, quantity, unit, unit_price, given_amount_cents, product_id, account_id,
        taxable, tax_rate_id, tax_rate, tax_name, discount_type, discount_value, gross_cents, discount_cents, net_cents,
        shared_discount_cents, tax_cents
    ) = row(
        excluded.position, excluded.description, excluded.long_description, excluded.quantity, excluded.unit,
        excluded.unit_price, excluded.given_amount_cents, excluded.product_id, excluded.account_id, excluded.taxable,
        excluded.tax_rate_id, excluded.tax_rate, excluded.tax_name, excluded.discount_type, excluded.discount_value,
        excluded.gross_cents, excluded.discount_cents, excluded.net_cents, excluded.shared_discount_cents,
        excluded.tax_cents
    )
"""

_decoder = msgspec.json.Decoder(Receivable)
_encoder = msgspec.json.Encoder(decimal_format="number")


class LineRow(Line, frozen=True, kw_only=True):
    """A row of line_items."""

    tenant_id: UUID
    invoice_id: UUID


async def find(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> Receivable | None:
    """An invoice with its lines and payments."""
    row = await conn.fetchrow(LOAD, tenant_id, invoice_id)
    return None if row is None else receivable(row)


async def find_many(conn: Conn, tenant_id: UUID, invoice_ids: Sequence[UUID]) -> list[Receivable]:
    """Invoices with their lines and payments, in no order."""
    return [receivable(row) for row in await conn.fetch(LOAD_MANY, tenant_id, invoice_ids)]


async def lock(conn: Conn, tenant_id: UUID, invoice_ids: Sequence[UUID]) -> dict[UUID, Receivable]:
    """The invoices, locked in the order of their ids, as they are once nobody else holds them."""
    found = [receivable(row) for row in await conn.fetch(LOCK, tenant_id, invoice_ids)]
    return {invoice.id: invoice for invoice in found}


async def save(conn: Conn, invoice: Receivable) -> None:
    """Write an invoice whose row is locked."""
    await conn.execute(SAVE, invoice.tenant_id, invoice.id, encode_row(invoice).decode())


async def replace_lines(conn: Conn, invoice: Receivable) -> None:
    """Make the stored lines the invoice's; a line keeps its id."""
    ids = [line.id for line in invoice.lines]
    await conn.execute(REPLACE_LINES, invoice.tenant_id, invoice.id, ids, encode_lines(line_rows(invoice)).decode())


def receivable(row: asyncpg.Record) -> Receivable:
    """A row of whole_invoices; its parts are JSON texts, decoded in one pass."""
    email = msgspec.json.encode(row["email"]).decode()
    text = f'{row["invoice"][:-1]},"email":{email},"lines":{row["lines"]},"applications":{row["applications"]}}}'
    return _decoder.decode(text)


def encode_row(invoice: Receivable) -> bytes:
    """An invoice as the JSON of its row; what is not a column is ignored by the database."""
    return _encoder.encode(msgspec.structs.replace(invoice, lines=(), applications=()))


def line_rows(invoice: Receivable) -> list[LineRow]:
    """The rows of an invoice's lines."""
    return [
        LineRow(tenant_id=invoice.tenant_id, invoice_id=invoice.id, **msgspec.structs.asdict(line))
        for line in invoice.lines
    ]


def encode_lines(lines: Sequence[LineRow]) -> bytes:
    """Lines as the JSON of their rows."""
    return _encoder.encode(lines)


async def timezone(conn: Conn, tenant_id: UUID) -> str:
    """The time zone that the tenant's days begin in."""
    found: str | None = await conn.fetchval(
        """select coalesce(s.timezone, t.timezone)
           from tenants t left join settings s on s.tenant_id = t.tenant_id where t.tenant_id = $1""",
        tenant_id,
    )
    return found or "UTC"
