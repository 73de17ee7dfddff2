"""Text out of the bytes of a bank: UTF-8, UTF-16 with its mark, else Windows-1252; lines of bounded length."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from services.payments.imports.formats.rows import Unreadable

CHUNK_BYTES = 1 << 16
MAX_LINE_CHARACTERS = 1 << 16
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@contextmanager
def decoded(file: BinaryIO) -> Iterator[TextIO]:
    """Read the file from its start as text. The file itself stays open."""
    encoding = encoding_of(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline=None)
    try:
        yield text
    finally:
        text.detach()


def encoding_of(file: BinaryIO) -> str:
    """Name the encoding: by its mark, else UTF-8 where the whole file is valid UTF-8, else what Windows writes."""
    file.seek(0)
    head = file.read(4)
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    return "utf-8" if is_utf8(file) else "cp1252"


def is_utf8(file: BinaryIO) -> bool:
    """Tell whether the file decodes as UTF-8 from start to end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def numbered_lines(text: TextIO) -> Iterator[tuple[int, str]]:
    """Yield each line with its number from 1. A line without an end would take all memory, so its length is bounded."""
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise Unreadable(f"line {number} is longer than {MAX_LINE_CHARACTERS:,} characters")
        yield number, line
