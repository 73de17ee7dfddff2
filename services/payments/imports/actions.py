"""What can be done with a bank file."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO, NamedTuple
from uuid import UUID

from services.payments.imports import errors, model, store
from services.payments.imports.formats.detect import Format
from services.payments.imports.formats.rows import Rejected, Row
from services.payments.imports.model import PaymentImport, Work
from services.payments.imports.store import Counts, NewImport
from services.payments.intake import actions as intake
from services.payments.intake.actions import Maker, PaymentCreate, Prepared
from shared.db import Conn
from shared.ids import uuid7
from shared.money import PositiveMoney

CHUNK_BYTES = 1 << 20
PAYMENT_METHOD = "bank_transfer"


class Upload(NamedTuple):
    """A file as it was sent, spooled, with what was said about it."""

    file: BinaryIO
    size_bytes: int
    name: str | None
    format: Format
    mapping: Mapping[str, str | int] | None


class Batch(NamedTuple):
    """Some rows in the order of the file, ready to be taken in, and how much of the file was read for them."""

    rows: int
    payments: Prepared
    rejections: Sequence[tuple[int, Rejected]]
    """Each with its place in the batch."""
    read_bytes: int
    is_last: bool
    error: str | None = None


async def begin(conn: Conn, maker: Maker, upload: Upload) -> PaymentImport:
    """Store a file and the job that imports it."""
    import_id = uuid7()
    await store.insert(
        conn,
        NewImport(
            tenant_id=maker.tenant_id,
            id=import_id,
            format=upload.format,
            mapping=upload.mapping,
            file_name=upload.name,
            size_bytes=upload.size_bytes,
            currency=maker.currency,
            created_by=maker.actor,
            created_at=maker.now,
        ),
    )
    for number, content in enumerate(pieces(upload.file)):
        await store.insert_chunk(conn, maker.tenant_id, import_id, number, content)
    return await get(conn, maker.tenant_id, import_id)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Cut a file into what is stored in a row."""
    file.seek(0)
    while content := file.read(CHUNK_BYTES):
        yield content


async def get(conn: Conn, tenant_id: UUID, import_id: UUID) -> PaymentImport:
    """One import; raises ImportUnknown."""
    found = await store.find(conn, tenant_id, import_id)
    if found is None:
        raise errors.ImportUnknown(import_id=import_id)
    return found


def prepared(work: Work, rows: Sequence[Row], *, now: datetime) -> Prepared:
    """The payments that rows report."""
    maker = Maker(work.tenant_id, work.currency, work.created_by, "import", now)
    return intake.prepare(maker, [payment_of(row) for row in rows])


async def take_in(conn: Conn, work: Work, batch: Batch, *, done_rows: int, now: datetime) -> bool:
    """Import one batch: its payments, its refusals and the count of both, or nothing when the claim is lost.

    The import is locked before anything else, so that of two processes that both believe it theirs only one goes on.
    """
    if not await store.keep(conn, work):
        return False
    made = await intake.create_many(conn, work.tenant_id, batch.payments)
    if batch.rejections:
        await store.insert_rejections(conn, work, done_rows, batch.rejections)
    duplicates = sum(one.duplicate for one in made)
    counts = Counts(batch.rows, len(made) - duplicates, duplicates, len(batch.rejections))
    return await store.advance(conn, work, counts, model.progress(work, batch.read_bytes), now)


def payment_of(row: Row) -> PaymentCreate:
    """The payment that a row reports."""
    return PaymentCreate(
        amount=PositiveMoney(row.amount_cents),
        payment_date=row.date,
        payment_method=PAYMENT_METHOD,
        payer_name=row.payer or None,
        payer_reference=row.reference or None,
        external_payment_id=row.external_id,
        currency=row.currency,
    )
