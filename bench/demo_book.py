"""A year of a small firm's book, invented from a seed: customers, invoices, and how they were paid. Pure."""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

Fate = Literal["paid", "short", "part", "unpaid", "disputed", "planned", "credited", "lost", "draft"]

DAYS = 365
FEE = Decimal("12.50")
"""What a bank on the way keeps of a wire."""
BANK_ROWS = 12
PLACES = ("Portland", "Austin", "Dayton", "Tampa", "Boise", "Albany", "Fresno", "Tulsa", "Salem", "Reno")
FIRST = """
    Harbor Northwind Cedar Maple Summit Granite Lakeside Meridian Juniper Pioneer Keystone Willow Sterling Riverside
    Oakwood Bluebird Copper Aspen Prairie Beacon
""".split()  # noqa: SIM905 (a list of words is easier to read as text)
TRADES = """
    Supply Foods Dental Printing Logistics Gardens Interiors Veterinary Bakery Motors Electric Plumbing Roofing Studios
    Catering
""".split()  # noqa: SIM905 (a list of words is easier to read as text)
FORMS = ("LLC", "Inc.", "Co.", "Corp.", "Partners LLP", "& Sons", "Group")
GIVEN = ("Maria", "James", "Aisha", "Tom", "Elena", "David", "Grace", "Omar", "Ruth", "Peter", "Nina", "Carl")
FAMILY = ("Lopez", "Miller", "Khan", "Baker", "Novak", "Reyes", "Olsen", "Price", "Moreau", "Tanaka", "Doyle", "West")
WORK: Sequence[tuple[str, Decimal, tuple[int, int]]] = (
    ("Website maintenance, monthly", Decimal("240.00"), (1, 1)),
    ("Design work, hours", Decimal("95.00"), (2, 24)),
    ("Development, hours", Decimal("125.00"), (4, 40)),
    ("Consulting, half day", Decimal("480.00"), (1, 4)),
    ("Hosting, monthly", Decimal("39.90"), (1, 3)),
    ("Support contract, monthly", Decimal("185.00"), (1, 1)),
    ("Photography, session", Decimal("350.00"), (1, 3)),
    ("Printed brochures, box of 250", Decimal("129.50"), (1, 8)),
    ("Search advertising, managed", Decimal("299.00"), (1, 2)),
    ("Training, per person", Decimal("89.00"), (3, 15)),
)
FATES: Sequence[tuple[Fate, int]] = (
    ("paid", 860), ("short", 20), ("part", 25), ("unpaid", 30), ("disputed", 12), ("planned", 10), ("credited", 18),
    ("lost", 5), ("draft", 20),
)  # fmt: skip
DISPUTES = (
    "The hours do not match our records",
    "Delivered late",
    "We ordered only half of this",
    "Wrong price agreed",
)
CREDITS = ("Goodwill for the late delivery", "Returned goods", "Discount agreed by phone")


@dataclass(frozen=True)
class Customer:
    """A customer, and how it pays."""

    body: dict[str, Any]
    name: str
    pays_as: str
    writes: Literal["number", "lower", "bare", "words", "nothing"]
    late_days: int
    collects: bool
    terms_days: int


@dataclass(frozen=True)
class Invoice:
    """An invoice before it is made, and what becomes of it."""

    customer: int
    fate: Fate
    issued: date
    due: date
    body: dict[str, Any]


@dataclass(frozen=True)
class Issued:
    """An invoice as the API made it."""

    id: str
    number: str
    amount: Decimal
    plan: Invoice


@dataclass
class Book:
    """All that is invented before anything is asked of the API."""

    customers: list[Customer] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)


def invented(seed: int, today: date, *, customers: int, invoices: int) -> Book:
    """Invent a book that ends today."""
    dice = random.Random(seed)
    names = dice.sample([f"{first} {trade}" for first in FIRST for trade in TRADES], customers)
    book = Book([customer(dice, seed, index, name) for index, name in enumerate(names)])
    days = sorted(today - timedelta(days=dice.randrange(DAYS)) for _ in range(invoices))
    book.invoices = [invoice(dice, book.customers, day, today) for day in days]
    return book


def customer(dice: random.Random, seed: int, index: int, name: str) -> Customer:
    """Invent a customer."""
    full = f"{name} {dice.choice(FORMS)}"
    person = f"{dice.choice(GIVEN)} {dice.choice(FAMILY)}"
    terms_days = dice.choice((14, 30, 30, 30, 45))
    domain = name.lower().replace(" ", "-")
    return Customer(
        body={
            "company_name": full,
            "customer_id": f"demo-{seed}-{index + 1:03}",
            "address": f"{dice.randint(1, 980)} {dice.choice(FIRST)} Street, {dice.choice(PLACES)}",
            "payment_terms_days": terms_days,
            "contacts": [{"contact_name": person, "email": f"billing@{domain}.example", "is_primary": True}],
            "tags": [dice.choice(("retainer", "project", "one-off"))],
        },
        name=full,
        pays_as=dice.choice((full, full, name, name.upper(), person)),
        writes=dice.choice(("number", "number", "number", "lower", "bare", "words", "nothing")),
        late_days=dice.choice((-3, 0, 0, 2, 5, 12)),
        collects=dice.random() < 0.25,
        terms_days=terms_days,
    )


def invoice(dice: random.Random, customers: Sequence[Customer], issued: date, today: date) -> Invoice:
    """Invent an invoice of some customer."""
    index = dice.randrange(len(customers))
    due = issued + timedelta(days=customers[index].terms_days)
    (fate,) = dice.choices([fate for fate, _ in FATES], [weight for _, weight in FATES])
    if fate == "draft" and (today - issued).days > 30:
        fate = "paid"
    lines = [line(dice) for _ in range(dice.choice((1, 1, 2, 2, 3, 4)))]
    body = {
        "issue_date": issued.isoformat(),
        "due_date": due.isoformat(),
        "line_items": lines,
        "status": "draft" if fate == "draft" else "pending",
        "terms": f"Net {customers[index].terms_days} days",
    }
    return Invoice(index, fate, issued, due, body)


def line(dice: random.Random) -> dict[str, Any]:
    """Invent a line."""
    description, price, (least, most) = dice.choice(WORK)
    return {"description": description, "quantity": dice.randint(least, most), "unit_price": float(price)}


# How they were paid


def payments(seed: int, today: date, customers: Sequence[Customer], issued: Sequence[Issued]) -> list[dict[str, Any]]:
    """Invent the payments that came in until today, oldest first; some pay several invoices at once."""
    dice = random.Random(seed + 1)
    made: list[dict[str, Any]] = []
    for index, payer in enumerate(customers):
        open_ones = [one for one in issued if one.plan.customer == index and one.plan.fate in {"paid", "short", "part"}]
        made += [payment(dice, payer, group) for group in grouped(dice, payer, open_ones)]
    made += strangers(dice, today)
    made = sorted(
        (one for one in made if one["payment_date"] <= today.isoformat()), key=lambda one: one["payment_date"]
    )
    return [
        {**one, "external_payment_id": payment_id(seed, f"{number:04}")} for number, one in enumerate(made, start=1)
    ]


def payment_id(seed: int, number: str = "") -> str:
    """Name a payment of the book of this seed; without a number, what all their names begin with."""
    return f"demo-{seed}-{number}"


def grouped(dice: random.Random, payer: Customer, open_ones: Sequence[Issued]) -> list[list[Issued]]:
    """Put invoices together that one payment pays: up to three, where the customer collects them."""
    groups: list[list[Issued]] = []
    for one in open_ones:
        fits = groups and payer.collects and len(groups[-1]) < 3 and dice.random() < 0.6
        if fits and one.plan.fate == "paid" and (one.plan.issued - groups[-1][0].plan.issued).days < 30:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def payment(dice: random.Random, payer: Customer, group: Sequence[Issued]) -> dict[str, Any]:
    """Invent the payment of some invoices."""
    last = group[-1].plan
    day = max(last.issued, last.due + timedelta(days=payer.late_days + dice.randint(-2, 4)))
    return {
        "amount": float(paid_amount(dice, group)),
        "payment_date": day.isoformat(),
        "payment_method": dice.choice(("ach", "ach", "bank_transfer", "wire", "check")),
        "payer_name": payer.pays_as,
        "payer_reference": reference(payer, [one.number for one in group]),
    }


def paid_amount(dice: random.Random, group: Sequence[Issued]) -> Decimal:
    """Pay all, or all but a fee, or only a part."""
    total = sum((one.amount for one in group), Decimal(0))
    fate = group[-1].plan.fate
    if fate == "short" and total > FEE * 2:
        return total - FEE
    return (total * dice.choice((30, 50, 60)) / 100).quantize(Decimal("0.01")) if fate == "part" else total


def reference(payer: Customer, numbers: Sequence[str]) -> str:
    """Write what the customer writes into the reference."""
    if payer.writes == "nothing":
        return "PAYMENT"
    if payer.writes == "lower":
        return " ".join(number.lower() for number in numbers)
    if payer.writes == "bare":
        return ", ".join(number.partition("-")[2] for number in numbers)
    return f"Payment for invoice {' and '.join(numbers)}, thank you" if payer.writes == "words" else " / ".join(numbers)


def strangers(dice: random.Random, today: date) -> list[dict[str, Any]]:
    """Invent payments that nobody can place."""
    return [
        {
            "amount": dice.randint(2_000, 90_000) / 100,
            "payment_date": (today - timedelta(days=dice.randrange(60))).isoformat(),
            "payment_method": "bank_transfer",
            "payer_name": f"{dice.choice(GIVEN)} {dice.choice(FAMILY)}",
            "payer_reference": dice.choice(("deposit", "as discussed", "october", "thanks!")),
        }
        for _ in range(6)
    ]


def bank_file(seed: int, today: date, customers: Sequence[Customer], issued: Sequence[Issued]) -> str:
    """Invent today's file of the bank: it pays some of what nobody has paid yet, among what banks report besides."""
    dice = random.Random(seed + 2)
    rows = [("Date", "Payer", "Reference", "Amount")]
    for one in [one for one in issued if one.plan.fate == "unpaid"][-BANK_ROWS:]:
        payer = customers[one.plan.customer]
        rows.append((today.isoformat(), payer.pays_as, reference(payer, [one.number]), f"{one.amount:.2f}"))
        if dice.random() < 0.2:
            rows.append((today.isoformat(), "Office Depot", "card purchase", f"-{dice.randint(900, 20_000) / 100:.2f}"))
    rows.append((today.isoformat(), "First National", "Monthly fee", "-18.00"))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
