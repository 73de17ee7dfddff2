"""Rows of imports, of the bytes they still need, and of the rows they refused."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from services.payments.imports.formats.rows import Rejected
from services.payments.imports.model import SHOWN_REJECTIONS, PaymentImport, Rejection, Work
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where

CLAIM_SECONDS = 15
MAX_REASON_CHARACTERS = 300
"""A reason quotes the file, and a cell may be as long as a line."""
MAX_ERROR_CHARACTERS = 1000
SELECT = """select id, status, format, file_name, size_bytes, rows, accepted, duplicates, rejected as rejected_count,
    progress, error, created_by, created_at, updated_at, finished_at from payment_imports"""
SORTS = {"created_at": Sort("created_at", datetime)}
REJECTION_SORTS = {"row": Sort("position", int, "position")}


class NewImport(NamedTuple):
    """An import that is about to be stored."""

    tenant_id: UUID
    id: UUID
    format: str
    mapping: Mapping[str, str | int] | None
    file_name: str | None
    size_bytes: int
    currency: str
    created_by: str
    created_at: datetime


class Counts(NamedTuple):
    """What a batch adds to an import."""

    rows: int
    accepted: int
    duplicates: int
    rejected: int


# The job as the API shows it


async def insert(conn: Conn, new: NewImport) -> None:
    """Add an import, free for anybody to claim."""
    await conn.execute(
        """insert into payment_imports (tenant_id, id, status, format, mapping, file_name, size_bytes, currency,
               created_by, created_at, updated_at)
           values ($1, $2, 'processing', $3, $4::jsonb, $5, $6, $7, $8, $9, $9)""",
        new.tenant_id,
        new.id,
        new.format,
        None if new.mapping is None else msgspec.json.encode(new.mapping).decode(),
        new.file_name,
        new.size_bytes,
        new.currency,
        new.created_by,
        new.created_at,
    )


async def find(conn: Conn, tenant_id: UUID, import_id: UUID) -> PaymentImport | None:
    """One import with the first of its rejections."""
    row = await conn.fetchrow(f"{SELECT} where tenant_id = $1 and id = $2", tenant_id, import_id)
    if row is None:
        return None
    rejected = await conn.fetch(
        "select row, reason from payment_import_rejections where tenant_id = $1 and import_id = $2"
        " order by position limit $3",
        tenant_id,
        import_id,
        SHOWN_REJECTIONS,
    )
    shown = msgspec.convert(row, PaymentImport)
    return msgspec.structs.replace(shown, rejected=[msgspec.convert(one, Rejection) for one in rejected])


async def page(conn: Conn, tenant_id: UUID, query: PageQuery) -> Page[PaymentImport]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, Where("tenant_id", tenant_id), query, sorts=SORTS)
    return rows.map(lambda row: msgspec.convert(row, PaymentImport))


async def rejected_page(conn: Conn, tenant_id: UUID, import_id: UUID, query: PageQuery) -> Page[Rejection]:
    """One piece of what an import refused, in the order of the file."""
    where = Where("tenant_id", tenant_id)
    where.add("import_id = ?", import_id)
    query = msgspec.structs.replace(query, order=query.order or "asc")
    rows = await pages.fetch(
        conn,
        "select import_id as id, position, row, reason from payment_import_rejections",
        where,
        query,
        sorts=REJECTION_SORTS,
        default="row",
        id_expression="import_id",
    )
    return rows.map(lambda row: Rejection(row=row["row"], reason=row["reason"]))


# The bytes


async def insert_chunk(conn: Conn, tenant_id: UUID, import_id: UUID, number: int, content: bytes) -> None:
    """Add a piece of the file."""
    await conn.execute(
        "insert into payment_import_chunks (tenant_id, import_id, number, content) values ($1, $2, $3, $4)",
        tenant_id,
        import_id,
        number,
        content,
    )


async def chunks(conn: Conn, work: Work) -> AsyncIterator[bytes]:
    """Yield the file piece by piece."""
    number = 0
    while content := await conn.fetchval(
        "select content from payment_import_chunks where tenant_id = $1 and import_id = $2 and number = $3",
        work.tenant_id,
        work.id,
        number,
    ):
        yield content
        number += 1


# The work


async def claim(conn: Conn) -> Work | None:
    """Take the import that has waited longest, if there is one that nobody works on."""
    row = await conn.fetchrow(
        """update payment_imports i
           set claim = claim + 1, fruitless_claims = fruitless_claims + 1,
               claimed_until = clock_timestamp() + make_interval(secs => $1)
           from (select tenant_id, id from payment_imports
                 where status = 'processing' and claimed_until <= clock_timestamp()
                 order by claimed_until limit 1 for update skip locked) next
           where i.tenant_id = next.tenant_id and i.id = next.id
           returning i.tenant_id, i.id, claim, format, mapping, size_bytes, currency, created_by, rows,
               fruitless_claims""",
        CLAIM_SECONDS,
    )
    return None if row is None else _work(row)


def _work(row: asyncpg.Record) -> Work:
    mapping = None if row["mapping"] is None else msgspec.json.decode(row["mapping"])
    return msgspec.convert({**row, "mapping": mapping}, Work)


MINE = "where tenant_id = $1 and id = $2 and claim = $3 and status = 'processing' returning true"
KEEP = f"update payment_imports set claimed_until = clock_timestamp() + make_interval(secs => $4) {MINE}"
RELEASE = f"update payment_imports set claimed_until = clock_timestamp(), fruitless_claims = 0 {MINE}"
ADVANCE = f"""update payment_imports
    set rows = rows + $4, accepted = accepted + $5, duplicates = duplicates + $6, rejected = rejected + $7,
        progress = $8, updated_at = $9, fruitless_claims = 0,
        claimed_until = clock_timestamp() + make_interval(secs => $10) {MINE}"""
FINISH = f"""update payment_imports
    set status = case when $4::text is null then 'completed' else 'failed' end, error = $4,
        progress = case when $4::text is null then 1 else progress end, updated_at = $5, finished_at = $5 {MINE}"""


async def keep(conn: Conn, work: Work) -> bool:
    """Hold on to a claim; False when somebody else has taken over."""
    return bool(await conn.fetchval(KEEP, work.tenant_id, work.id, work.claim, CLAIM_SECONDS))


async def release(conn: Conn, work: Work) -> None:
    """Give a claim back, so that the next who looks may go on."""
    await conn.fetchval(RELEASE, work.tenant_id, work.id, work.claim)


async def advance(conn: Conn, work: Work, counts: Counts, progress: float, now: datetime) -> bool:
    """Record a batch, in the transaction that imports it; False when somebody else has taken over."""
    values = (*counts, progress, now, CLAIM_SECONDS)
    return bool(await conn.fetchval(ADVANCE, work.tenant_id, work.id, work.claim, *values))


async def finish(conn: Conn, work: Work, error: str | None, now: datetime) -> None:
    """End an import, and drop the bytes that nobody needs any more."""
    if await conn.fetchval(FINISH, work.tenant_id, work.id, work.claim, error and error[:MAX_ERROR_CHARACTERS], now):
        await conn.execute(
            "delete from payment_import_chunks where tenant_id = $1 and import_id = $2", work.tenant_id, work.id
        )


async def insert_rejections(conn: Conn, work: Work, first: int, rejections: Sequence[tuple[int, Rejected]]) -> None:
    """Add refused rows; `first` is the place of the batch in the file."""
    await conn.execute(
        """insert into payment_import_rejections (tenant_id, import_id, position, row, reason)
           select $1, $2, * from unnest($3::bigint[], $4::bigint[], $5::text[])""",
        work.tenant_id,
        work.id,
        [first + place for place, _ in rejections],
        [rejected.row for _, rejected in rejections],
        [rejected.reason[:MAX_REASON_CHARACTERS] for _, rejected in rejections],
    )
