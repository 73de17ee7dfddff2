"""CSV that opens in any spreadsheet, and does nothing there."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

Cell = str | Decimal | int | date | UUID | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a text as a formula (OWASP, CSV injection), full-width forms too."""


def written(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The text of a CSV file (RFC 4180), with a byte order mark, without which Excel reads names as Latin-1."""
    file = io.StringIO()
    file.write("\ufeff")
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return file.getvalue()


def _harmless(cell: Cell) -> str:
    """A text that would be run as a formula gets an apostrophe before it; numbers and dates are ours and stay."""
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA_STARTS):
        return "'" + cell
    return "" if cell is None else str(cell)
