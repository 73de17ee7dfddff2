"""pdf: setting an invoice of one page with a logo."""

import struct
import time
import zlib
from datetime import date
from decimal import Decimal

from bench.rows import Row, median
from services.invoices.rendering.model import Bill, Brand, Line, Party, Tax
from services.invoices.rendering.typesetting import typesetter

TIMES = 50
WARM = 5


def logo(width: int = 300, height: int = 90) -> bytes:
    """A PNG of one plain colour."""
    rows = b"".join(b"\0" + bytes((11, 110, 79, 255)) * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def bill(number: int) -> Bill:
    """An invoice of ten lines with a tax; nothing in it but the seller and some labels is in another one."""
    lines = tuple(
        Line(
            description=f"Consulting, part {part} of project {number}",
            quantity=Decimal(part),
            unit="h",
            unit_price=Decimal(100 + number),
            amount_cents=part * (10_000 + 100 * number),
        )
        for part in range(1, 11)
    )
    net_cents = 550_000 + 5_500 * number
    tax_cents = net_cents * 19 // 100
    brand = Brand(company_name="Halvorsen & Müller GmbH", address="Kastanienallee 12\n10435 Berlin", logo=logo())
    return Bill(
        number=f"INV-2026-{number:04}",
        issue_date=date(2026, 11, 21),
        due_date=date(2026, 12, 21),
        currency="EUR",
        brand=brand,
        customer=Party(name=f"Nordlicht {number} AS", address=f"Karl Johans gate {number}\n0154 Oslo\nNorway"),
        lines=lines,
        subtotal_cents=net_cents,
        taxes=(Tax(name="VAT", rate=Decimal("0.19"), base_cents=net_cents, tax_cents=tax_cents),),
        total_cents=net_cents + tax_cents,
        due_cents=net_cents + tax_cents,
    )


async def pdf() -> list[Row]:
    """The median of documents of one seller that differ in number, customer, texts and amounts."""
    milliseconds = []
    for number in range(WARM + TIMES):
        one = bill(number)
        started = time.perf_counter()
        typesetter().bill(one)
        milliseconds.append((time.perf_counter() - started) * 1000)
    measured = milliseconds[WARM:]
    return [Row("pdf", 8, median(measured), at_least=False, unit="ms", detail=f"best {min(measured):.2f} ms")]
