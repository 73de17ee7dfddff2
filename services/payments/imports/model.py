"""An import of a bank file: how far it is, and what a row of it becomes. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.payments.imports.formats.detect import Format

Status = Literal["processing", "completed", "failed"]
SHOWN_REJECTIONS = 1000


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not imported."""

    row: Annotated[int, Meta(description="line of the file; for OFX and camt.053 the number of the entry")]
    reason: str


class PaymentImport(msgspec.Struct, frozen=True, kw_only=True):
    """A bank file and what became of its rows. The list leaves out `rejected`."""

    id: UUID
    status: Status
    format: Format
    file_name: str | None
    size_bytes: int
    rows: Annotated[int, Meta(description="read so far")]
    accepted: Annotated[int, Meta(description="became payments")]
    duplicates: Annotated[int, Meta(description="were imported before")]
    rejected_count: int
    rejected: Annotated[
        Sequence[Rejection] | UnsetType,
        Meta(description=f"the first {SHOWN_REJECTIONS}; all of them at /v1/payments/imports/{{import_id}}/rejected"),
    ] = UNSET
    progress: Annotated[float, Meta(ge=0, le=1, description="share of the file that is done")]
    error: Annotated[str | None, Meta(description="why the import failed; rows before that stay imported")]
    created_by: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """An import that this process has claimed."""

    tenant_id: UUID
    id: UUID
    claim: int
    format: Format
    mapping: Mapping[str, str | int] | None
    size_bytes: int
    currency: str
    created_by: str
    rows: int
    fruitless_claims: int


def progress(work: Work, read_bytes: int) -> float:
    """The share of the file that is done; only a finished import is at 1."""
    return min(read_bytes / max(work.size_bytes, 1), 0.99)
