"""Sample bank files, and what comes out of them."""

import io
from collections.abc import Mapping
from pathlib import Path

from services.payments.imports.formats import detect
from services.payments.imports.formats.rows import Rejected, Row

SAMPLES = Path(__file__).parents[3] / "samples" / "bank"


def sample(name: str) -> bytes:
    """Read a sample file."""
    return (SAMPLES / name).read_bytes()


def imported(content: bytes | str, mapping: Mapping[str, str | int] | None = None) -> tuple[list[Row], list[Rejected]]:
    """Detect, read, and sort into rows and refusals."""
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    found = list(detect.rows(file, detect.detected(file), mapping))
    return [row for row in found if isinstance(row, Row)], [row for row in found if isinstance(row, Rejected)]


def rows_of(name: str, mapping: Mapping[str, str | int] | None = None) -> list[Row]:
    """Read the rows of a sample file."""
    return imported(sample(name), mapping)[0]


def refusals_of(name: str) -> dict[int, str]:
    """Read the refusals of a sample file: reason by row."""
    return {refusal.row: refusal.reason for refusal in imported(sample(name))[1]}


def facts(row: Row) -> tuple[int, int, str, str, str]:
    """Give what a bookkeeper sees of a row."""
    return row.number, row.amount_cents, row.date.isoformat(), row.payer, row.reference
