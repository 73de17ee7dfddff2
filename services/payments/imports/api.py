"""Bank files over HTTP: sent as a form or as they are, and watched while they are imported."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, BinaryIO, cast

import msgspec
from aiohttp import BodyPartReader, MultipartReader, web
from msgspec import Meta

from services.payments.imports import actions, errors, jobs, store
from services.payments.imports.actions import Upload
from services.payments.imports.formats import columns, detect
from services.payments.imports.formats.detect import Format
from services.payments.imports.formats.rows import Unreadable
from services.payments.imports.model import PaymentImport, Rejection
from services.payments.intake.actions import Maker
from shared.errors import FieldError, InvalidFields, TooLarge
from shared.http import idempotency
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import MEBIBYTE, Route

MAX_FILE_BYTES = 100 * MEBIBYTE
MAX_FIELD_BYTES = 64 * 1024
MAX_NAME_CHARACTERS = 200
UPLOAD_SECONDS = 600.0
READ_BYTES = 1 << 16


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said about a file that is sent as the raw body."""

    format: Annotated[str, Meta(description=f"one of {', '.join(detect.FORMATS)}; detected when absent")] | None = None
    mapping: (
        Annotated[str, Meta(description='JSON for CSV files, `{"amount": "Betrag", "payment_date": 1}`')] | None
    ) = None
    file_name: Annotated[str, Meta(max_length=MAX_NAME_CHARACTERS)] | None = None


class Parts(msgspec.Struct):
    """What arrived: the file in a temporary one, and the words about it."""

    file: BinaryIO
    size_bytes: int = 0
    name: str | None = None
    format: str | None = None
    mapping: str | None = None
    is_there: bool = False
    digest: "hashlib._Hash" = msgspec.field(default_factory=hashlib.sha256)


async def import_payments(call: Call[None, ImportQuery]) -> web.StreamResponse:
    """Import a bank file.

    CSV, OFX 1 and 2, camt.053, MT940 and BAI2, at most 100 MiB, as the raw body or as `multipart/form-data` with a part
    `file` and optional parts `format` and `mapping`. The answer is a job; the payments follow in the background. A row
    that was imported before counts as a duplicate, so that the same file twice adds nothing.
    """
    async with received(call) as upload:
        async with call.transaction() as conn:
            caller = call.caller
            maker = Maker(caller.tenant_id, caller.currency, caller.actor, "import", call.now)
            job = await actions.begin(conn, maker, upload)
            reply = call.reply(job, status=202)
        call.runtime.use(jobs.Waker).ring()
        return reply


async def list_imports(call: Call[None, PageQuery]) -> web.StreamResponse:
    """List imports of bank files."""
    async with call.connection() as conn:
        return call.page(await store.page(conn, call.caller.tenant_id, call.query))


async def get_import(call: Call[None, None]) -> web.StreamResponse:
    """Get an import: how far it is, what it made, and which rows it refused and why."""
    async with call.connection() as conn:
        return call.reply(await actions.get(conn, call.caller.tenant_id, call.id("import_id")))


async def list_rejected_rows(call: Call[None, PageQuery]) -> web.StreamResponse:
    """List all rows of a bank file that were refused, in the order of the file."""
    async with call.connection() as conn:
        found = await actions.get(conn, call.caller.tenant_id, call.id("import_id"))
        return call.page(await store.rejected_page(conn, call.caller.tenant_id, found.id, call.query))


# Receiving


@asynccontextmanager
async def received(call: Call[None, ImportQuery]) -> AsyncIterator[Upload]:
    """Take the file in, to the disk and not to the memory, and look at what it is."""
    with tempfile.TemporaryFile() as spool:
        parts = Parts(cast("BinaryIO", spool))
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                await receive(call, parts)
        except TimeoutError:
            raise errors.UploadTooSlow from None
        upload = Upload(parts.file, parts.size_bytes, parts.name, format_of(parts), mapping_of(parts))
        note_attempt(call, parts)
        yield upload


async def receive(call: Call[None, ImportQuery], parts: Parts) -> None:
    """Read the body, a form or the file itself."""
    if call.request.content_type.startswith("multipart/"):
        await receive_form(call.request, parts)
        return
    query = call.query
    parts.format, parts.mapping, parts.name = query.format, query.mapping, query.file_name
    refuse_larger(call.request.content_length or 0)
    await spool(call.request.content.iter_chunked(READ_BYTES), parts)


async def receive_form(request: web.Request, parts: Parts) -> None:
    """Read the parts of a form, in whatever order they come."""
    try:
        async for part in await request.multipart():
            await receive_part(part, parts)
    except (ValueError, AssertionError, LookupError) as error:  # what aiohttp raises for a form that is none
        raise errors.UploadMalformed(reason=str(error) or "it does not follow RFC 7578") from None
    if not parts.is_there:
        raise errors.FileMissing(field="file")


async def receive_part(part: MultipartReader | BodyPartReader | None, parts: Parts) -> None:
    """Take one part: the file, or a word about it."""
    if not isinstance(part, BodyPartReader):
        raise errors.UploadMalformed(reason="its parts must not be forms themselves")
    if part.name == "file":
        parts.name = clean_name(part.filename)
        await spool(chunks_of(part), parts)
    elif part.name == "format":
        parts.format = await short_text(part)
    elif part.name == "mapping":
        parts.mapping = await short_text(part)
    else:
        raise InvalidFields([FieldError(field=part.name or "", message="is not a known field")])


async def chunks_of(part: BodyPartReader) -> AsyncIterator[bytes]:
    """Read a part piece by piece."""
    while chunk := await part.read_chunk(READ_BYTES):
        yield chunk


async def spool(chunks: AsyncIterator[bytes], parts: Parts) -> None:
    """Write a file to the disk as it comes, within its bound."""
    parts.is_there = True
    async for chunk in chunks:
        parts.size_bytes += len(chunk)
        refuse_larger(parts.size_bytes)
        parts.digest.update(chunk)
        parts.file.write(chunk)


def refuse_larger(size_bytes: int) -> None:
    """Refuse what is too large as soon as that is known."""
    if size_bytes > MAX_FILE_BYTES:
        raise TooLarge(limit=MAX_FILE_BYTES)


async def short_text(part: BodyPartReader) -> str:
    """Read a part that holds a word, or a mapping."""
    content = b""
    async for chunk in chunks_of(part):
        content += chunk
        if len(content) > MAX_FIELD_BYTES:
            raise TooLarge(limit=MAX_FIELD_BYTES)
    return content.decode("utf-8")


def clean_name(name: str | None) -> str | None:
    """Keep of a file's name what is safe to show."""
    plain = "".join(character for character in (name or "") if character.isprintable())
    return plain.replace("\\", "/").rpartition("/")[2][-MAX_NAME_CHARACTERS:] or None


# What was said about it


def format_of(parts: Parts) -> Format:
    """Take the format that was named, else look."""
    if parts.format:
        form = detect.named(parts.format)
        if form is None:
            message = f"must be one of {', '.join(detect.FORMATS)}"
            raise InvalidFields([FieldError(field="format", message=message)])
    try:
        looked = detect.detected(parts.file)
    except Unreadable as reason:
        raise errors.FileUnreadable(reason=reason, field="file") from None
    return form if parts.format and form else looked


def mapping_of(parts: Parts) -> Mapping[str, str | int] | None:
    """Read the mapping and check its fields; whether its columns exist shows when the file is read."""
    if not parts.mapping:
        return None
    try:
        mapping = msgspec.json.decode(parts.mapping, type=dict[str, str | int])
        columns.checked(mapping)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidFields([FieldError(field="mapping", message=f"must be an object of columns: {error}")]) from None
    except Unreadable as reason:
        raise InvalidFields([FieldError(field="mapping", message=str(reason))]) from None
    return mapping


def note_attempt(call: Call[None, ImportQuery], parts: Parts) -> None:
    """Let an Idempotency-Key count for the content, since forms have another boundary each time they are sent."""
    key = call.request.headers.get(idempotency.HEADER)
    if key is None:
        return
    said = msgspec.json.encode([parts.digest.hexdigest(), parts.format, parts.mapping])
    call.attempt = idempotency.attempt(call.caller, f"POST {call.request.path}", key, said)


ROUTES = (
    Route(
        "POST",
        "/v1/payments/import",
        import_payments,
        scope="payments:write",
        stream=True,
        takes=(
            "multipart/form-data",
            "text/csv",
            "application/x-ofx",
            "application/xml",
            "text/plain",
            "application/octet-stream",
        ),
        max_bytes=MAX_FILE_BYTES,
        query=ImportQuery,
        returns=PaymentImport,
        status=202,
        refuses=(
            errors.FileMissing,
            errors.FileUnreadable,
            errors.UploadMalformed,
            errors.UploadTooSlow,
            TooLarge,
            InvalidFields,
        ),
    ),
    Route(
        "GET",
        "/v1/payments/imports",
        list_imports,
        scope="payments:read",
        query=PageQuery,
        returns=PaymentImport,
        many=True,
    ),
    Route(
        "GET",
        "/v1/payments/imports/{import_id}",
        get_import,
        scope="payments:read",
        returns=PaymentImport,
        refuses=(errors.ImportUnknown,),
    ),
    Route(
        "GET",
        "/v1/payments/imports/{import_id}/rejected",
        list_rejected_rows,
        scope="payments:read",
        query=PageQuery,
        returns=Rejection,
        many=True,
        refuses=(errors.ImportUnknown,),
    ),
)
