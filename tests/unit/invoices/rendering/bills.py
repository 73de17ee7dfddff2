"""Builders of documents to print."""

import struct
import zlib
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from services.invoices.rendering.model import Bill, Brand, Line, Movement, Party, Settled, Statement, Tax


def png(width: int = 300, height: int = 90, color: tuple[int, int, int] = (11, 110, 79)) -> bytes:
    """A logo: one plain colour."""
    rows = b"".join(b"\0" + bytes((*color, 255)) * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BRAND = Brand(
    company_name="Halvorsen & Müller GmbH",
    address="Kastanienallee 12\n10435 Berlin\nGermany",
    tax_id="VAT DE123456789",
    color="#0b6e4f",
    footer="Amtsgericht Charlottenburg HRB 12345",
    bank_details="Deutsche Bank\nIBAN DE89 3704 0044 0532 0130 00\nBIC COBADEFFXXX",
)
CUSTOMER = Party(
    name="Nordlicht AS", address="Karl Johans gate 1\n0154 Oslo\nNorway", email="regnskap@nordlicht.example"
)


def a_bill(**changes: Any) -> Bill:
    """An invoice over 1,500.00 + 95.00 + 45.30 less 2.46 %, with two rates, half paid."""
    bill = Bill(
        number="INV-2026-0042",
        issue_date=date(2026, 11, 21),
        due_date=date(2026, 12, 21),
        currency="EUR",
        brand=BRAND,
        customer=CUSTOMER,
        lines=(
            Line(
                description="Consulting, October",
                long_description="Migration of the ledger, three workshops",
                quantity=Decimal("12.5"),
                unit="h",
                unit_price=Decimal(120),
                amount_cents=150000,
                tax_rate=Decimal("0.19"),
            ),
            Line(
                description="Reports",
                quantity=Decimal(3),
                unit_price=Decimal("33.333333"),
                amount_cents=9500,
                discount_cents=500,
                tax_rate=Decimal("0.07"),
            ),
            Line(description="Printed matter", amount_cents=4530, tax_rate=Decimal("0.07")),
        ),
        subtotal_cents=164030,
        discount_cents=4030,
        taxes=(
            Tax(name="VAT", rate=Decimal("0.19"), base_cents=146315, tax_cents=27800),
            Tax(name="VAT", rate=Decimal("0.07"), base_cents=13685, tax_cents=958),
        ),
        total_cents=188758,
        due_cents=138758,
        settled=(Settled(date=date(2026, 11, 25), text="Bank transfer", amount_cents=50000),),
        project="Ledger 2.0",
        note="Thank you for your business.",
        terms="Payable within 30 days without deduction.",
        pay_url="https://pay.example.com/pay/token",
    )
    return msgspec.structs.replace(bill, **changes)


def a_statement(**changes: Any) -> Statement:
    """A month with two movements."""
    statement = Statement(
        brand=BRAND,
        customer=CUSTOMER,
        currency="EUR",
        start=date(2026, 11, 1),
        end=date(2026, 11, 30),
        opening_cents=10000,
        closing_cents=22500,
        movements=(
            Movement(date=date(2026, 11, 3), text="Invoice INV-2026-0040", amount_cents=25000, balance_cents=35000),
            Movement(date=date(2026, 11, 9), text="Payment", amount_cents=-12500, balance_cents=22500),
        ),
        aging=(("Current", 22500), ("1–30 days", 0)),
    )
    return msgspec.structs.replace(statement, **changes)
