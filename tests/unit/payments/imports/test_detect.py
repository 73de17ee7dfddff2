"""Which format a file has."""

import io
import random
from pathlib import Path

import pytest

from services.payments.imports.formats import detect
from services.payments.imports.formats.rows import Rejected, Row, Unreadable
from tests.unit.payments.imports.files import SAMPLES, imported

BY_ENDING = {
    ".csv": "csv",
    ".ofx": "ofx",
    ".qfx": "ofx",
    ".xml": "camt053",
    ".sta": "mt940",
    ".940": "mt940",
    ".bai": "bai2",
}


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_sample_is_recognised(path: Path) -> None:
    assert detect.detected(io.BytesIO(path.read_bytes())) == BY_ENDING[path.suffix]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "empty"),
        (b" \r\n ", "empty"),
        (b"PK\x03\x04...", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0...", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x00\x01\x02", "not a text file"),
    ],
)
def test_what_is_no_bank_file_is_refused_with_advice(content: bytes, hint: str) -> None:
    with pytest.raises(Unreadable, match=hint):
        detect.detected(io.BytesIO(content))


@pytest.mark.parametrize("word", ["CSV", "camt.053", "qfx", " MT940 ", "bai"])
def test_a_format_may_be_named_as_people_write_it(word: str) -> None:
    assert detect.named(word) in detect.FORMATS


def test_an_unknown_format_has_no_name() -> None:
    assert detect.named("docx") is None


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_a_damaged_file_gives_rows_or_refusals_or_a_reason_and_never_a_crash(path: Path) -> None:
    content = path.read_bytes()
    dice = random.Random(20261121)

    for _ in range(60):
        rows, refused = whatever_is_left(damaged(content, dice))
        assert all(row.amount_cents > 0 for row in rows)
        assert all(refusal.reason for refusal in refused)


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Change a few bytes to what parsers dislike, and cut the rest off."""
    bytes_left = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        bytes_left[dice.randrange(len(bytes_left))] = dice.choice(b'\x00\xff<>&;,"\n:/-9A')
    return bytes(bytes_left[: dice.randint(1, len(bytes_left))])


def whatever_is_left(content: bytes) -> tuple[list[Row], list[Rejected]]:
    """Read a damaged file, which may be unreadable as a whole."""
    try:
        return imported(content)
    except Unreadable:
        return [], []
