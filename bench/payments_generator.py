"""Labelled payments for cash application: a seeded book of open invoices, and what people would send to pay them.

Each payment carries the truth (`paid`: which invoices, how much) and the kind of trouble it has. The truth is for
judging only; nothing in the matching rules reads it. Tune with one seed, report with another.
"""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import msgspec

from services.payments.matching.model import OpenInvoice, Receipt

TUNING_SEED = 20260
TEST_SEED = 71993
TODAY = date(2026, 11, 21)
TOLERANCE_CENTS = 1500  # the bank fees that this tenant forgives

_FIRST_WORDS = """
    Acme Northwind Contoso Globex Initech Umbra Stark Wayne Hooli Vandelay Pied Cedar Maple Blue Red Silver Golden
    Iron Harbor Summit Alpine Baltic Nordic Atlas Orion Vega Lumen Aurora Pioneer Liberty Sierra Delta Echo Falcon
    Granite Juniper Keystone Lakeside Meridian Nimbus Oakwood Pinnacle Quartz Riverside Sterling Tundra Uplift Vista
    Willow Zenith Müller Schröder Weiß Lefèvre García Fernández Rossi Bianchi Søren Åkesson Kowalski Novák Horváth
    Brown Smith Johnson Taylor Wilson Evans Okafor Nakamura Tanaka Patel Singh Chen
"""
FIRST = _FIRST_WORDS.split()
_SECOND_WORDS = """
    Trading Logistics Industries Software Foods Media Systems Partners Consulting Construction Electric Plumbing
    Medical Dental Motors Textiles Printing Packaging Analytics Robotics Marine Aviation Energy Solar Water Paper
    Steel Glass Furniture Garden Travel Events Security Cleaning Catering Design Studios Labs Pharma Optics Holding
    Ventures Hardware Tools Chemicals Plastics Machinery Seeds
"""
SECOND = _SECOND_WORDS.split()
_PLACES_WORDS = """
    Berlin Boston Austin Lyon Milano Wien Zürich Leeds Oslo Gdańsk Porto Denver Tampa Bristol Hamburg
"""
PLACES = _PLACES_WORDS.split()
FORMS = [
    "LLC",
    "Inc",
    "Inc.",
    "GmbH",
    "Ltd",
    "Limited",
    "Corp",
    "Corporation",
    "AG",
    "S.A.",
    "SARL",
    "B.V.",
    "Co.",
    "GmbH & Co. KG",
    "",
    "PLC",
]
_GIVEN_WORDS = """
    Jane John Maria Peter Aisha Tom Li Olga Sven Ana Paul Chloé Igor Nadia Omar Ruth Hugo Ines Karl Lena Marco Nora
    Piotr
"""
GIVEN = _GIVEN_WORDS.split()
_FAMILY_WORDS = """
    Doe Miller Lopez Schmidt Khan Baker Wei Petrova Olsen Costa Dubois Weber Moreau Silva Novak Berg Hansen Ricci
    Park
"""
FAMILY = _FAMILY_WORDS.split()
SHELLS = [
    "Payables Clearing",
    "Shared Services",
    "Treasury Services",
    "Zahlstelle",
    "Pay Agent",
    "Finance Hub",
]
PRICES_CENTS = [
    4900,
    9900,
    19900,
    25000,
    50000,
    75000,
    100000,
    120000,
    250000,
]  # subscriptions and flat fees: the same again and again
CHATTER = [
    "",
    "",
    "",
    "thanks",
    "payment for",
    "pmt",
    "Zahlung",
    "transfer for services",
    "Nov 2026",
    "as agreed",
    "/RFB/",
]


@dataclass(frozen=True)
class Customer:
    id: UUID
    name: str
    pays_as: str  # the name on the bank's line when it is not its own


@dataclass(frozen=True)
class Labelled:
    """One payment, what is wrong with it, and the truth; an empty truth means that nothing should be paid."""

    receipt: Receipt
    kind: str
    paid: dict[UUID, int]


@dataclass
class Book:
    """What is open, what was paid long ago, and who owes it."""

    customers: list[Customer]
    invoices: dict[UUID, OpenInvoice]
    closed: list[OpenInvoice]
    free: dict[UUID, list[UUID]] = field(default_factory=dict)  # open invoices that no generated payment pays yet


def make_book(seed: int, *, invoice_count: int = 10_000, closed_count: int = 10_000) -> Book:
    """A firm's book: about five open invoices a customer, numbered by year, amounts both odd and from a price list."""
    dice = random.Random(seed)
    customers = _customers(dice, max(3, invoice_count // 5))
    numbers = _numbers(dice, invoice_count + closed_count)
    closed = [_invoice(dice, customers, next(numbers)) for _ in range(closed_count)]
    invoices = {
        invoice.id: invoice for invoice in (_invoice(dice, customers, next(numbers)) for _ in range(invoice_count))
    }
    book = Book(customers, invoices, closed)
    for invoice in invoices.values():
        book.free.setdefault(invoice.customer_id, []).append(invoice.id)
    return book


def _customers(dice: random.Random, count: int) -> list[Customer]:
    found: dict[str, Customer] = {}
    while len(found) < count:
        core = f"{dice.choice(FIRST)} {dice.choice(SECOND)}"
        if dice.random() < 0.5:
            core += f" {dice.choice(PLACES)}"
        if core in found and dice.random() < 0.5:
            core += f" {dice.randint(2, 40)}"
        name = f"{core} {dice.choice(FORMS)}".strip()
        other = (
            _person(dice)
            if dice.random() < 0.4
            else f"{dice.choice(FIRST)} {dice.choice(SHELLS)} {dice.randint(10, 999)}"
        )
        found.setdefault(core, Customer(_uuid(dice), name, other))
    return list(found.values())


def _person(dice: random.Random) -> str:
    return f"{dice.choice(GIVEN)} {dice.choice(string.ascii_uppercase)}. {dice.choice(FAMILY)}"


def _numbers(dice: random.Random, count: int) -> Iterator[str]:
    """As our own numbering makes them, with the year before as well; some are the tenant's own from an older system."""
    year, sequence = 2025, 0
    for place in range(count):
        if place == count // 3:
            year, sequence = 2026, 0
        sequence += 1
        yield f"INV-{year}-{sequence:04d}" if dice.random() > 0.03 else f"A{100000 + place}"


def _invoice(dice: random.Random, customers: list[Customer], number: str) -> OpenInvoice:
    customer = (
        customers[min(int(dice.paretovariate(1.1)) - 1, len(customers) - 1)]
        if dice.random() < 0.1
        else dice.choice(customers)
    )
    cents = dice.choice(PRICES_CENTS) if dice.random() < 0.25 else int(dice.lognormvariate(11.2, 1.1)) + 1000
    issued = TODAY - timedelta(days=dice.randint(5, 75))
    days = dice.choice([14, 30, 30, 45])
    terms = "2/10 net 30" if dice.random() < 0.08 else f"net {days}"
    if terms.startswith("2/10"):
        issued = TODAY - timedelta(days=dice.randint(2, 9))
    return OpenInvoice(
        id=_uuid(dice), customer_id=customer.id, customer_name=customer.name, number=number, currency="USD",
        amount_cents=cents, due_cents=cents, issue_date=issued, due_date=issued + timedelta(days=days), terms=terms,
    )  # fmt: skip


def _uuid(dice: random.Random) -> UUID:
    return UUID(int=dice.getrandbits(128), version=4)


# --- how people write ------------------------------------------------------------------------------------------------


def _as_is(dice: random.Random, number: str) -> str:  # noqa: ARG001 (all writers look alike)
    return number


def _lower(dice: random.Random, number: str) -> str:
    return dice.choice(
        [number.lower(), number.replace("-", " ").lower(), number.lower().replace("-", ""), number.replace("-", "/")]
    )


def _missing_prefix(dice: random.Random, number: str) -> str:
    bare = number.removeprefix("INV-").removeprefix("A")
    return dice.choice(
        [bare, f"#{bare}", f"invoice {bare}", f"Rechnung Nr. {bare}", bare.replace("-", ""), f"inv no {bare}"]
    )


def _typo(dice: random.Random, number: str) -> str:
    """One digit wrong, or two neighbours swapped, in the last four."""
    place = len(number) - dice.randint(1, 4)
    if dice.random() < 0.5 and place + 1 < len(number) and number[place] != number[place + 1]:
        return number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    return number[:place] + dice.choice([d for d in "0123456789" if d != number[place]]) + number[place + 1 :]


def _around(dice: random.Random, text: str) -> str:
    extra = dice.choice(["", "", "", " 15.11.2026", " PO 47110815", " cust 20417", " USD 1,250.00", " ref 8841"])
    return f"{dice.choice(CHATTER)} {text}{extra}".strip()


def _payer(dice: random.Random, customer: Customer) -> str:
    """The customer's name as banks print it: capitals, cut, without the legal form, with a slip of the finger."""
    name = customer.name
    how = dice.random()
    if how < 0.35:
        return name.upper()
    if how < 0.50:
        return name.upper()[:22].strip()
    if how < 0.62:
        return name.rsplit(" ", 1)[0] if name.rsplit(" ", 1)[-1] in FORMS else name
    if how < 0.70 and len(name) > 12:
        place = dice.randint(1, 9)
        return name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    if how < 0.75:
        words = name.split()
        return " ".join([*words[1:], words[0]])
    return name


# --- the kinds -------------------------------------------------------------------------------------------------------


class Writer:
    """Makes payments of each kind against one book, each invoice paid at most once."""

    def __init__(self, book: Book, seed: int) -> None:
        self.book, self.dice = book, random.Random(seed)
        self.of: dict[UUID, Customer] = {customer.id: customer for customer in book.customers}
        self.earlier: list[Labelled] = []
        self.aliased: set[UUID] = set()

    def _take(self, count: int = 1) -> list[OpenInvoice]:
        """Open invoices of one customer that nobody has paid yet, the oldest of them as a rule."""
        while True:
            customer_id = self.dice.choice(list(self.book.free))
            free = self.book.free[customer_id]
            if len(free) >= count:
                chosen = self.dice.sample(free, count)
                self.book.free[customer_id] = [invoice_id for invoice_id in free if invoice_id not in chosen]
                return [self.book.invoices[invoice_id] for invoice_id in chosen]
            if not free:
                del self.book.free[customer_id]

    def _labelled(
        self,
        kind: str,
        invoices: list[OpenInvoice],
        text: str,
        *,
        payer: str | None = "",
        cents: int | None = None,
        **paid: dict[UUID, int],
    ) -> Labelled:
        amount = cents if cents is not None else sum(invoice.due_cents for invoice in invoices)
        customer = self.of[invoices[0].customer_id]
        payer = _payer(self.dice, customer) if payer == "" else payer
        truth = paid.get("paid", {invoice.id: invoice.due_cents for invoice in invoices})
        when = max(TODAY - timedelta(days=self.dice.randint(0, 4)), max(invoice.issue_date for invoice in invoices))
        receipt = Receipt(
            id=_uuid(self.dice), amount_cents=amount, currency="USD", payment_date=when, payer_name=payer, text=text
        )
        return Labelled(receipt, kind, truth)

    def _referenced(self, kind: str, write: Callable[[random.Random, str], str]) -> Labelled:
        (invoice,) = self._take()
        payer = "" if self.dice.random() < 0.9 else None
        return self._labelled(kind, [invoice], _around(self.dice, write(self.dice, str(invoice.number))), payer=payer)

    def exact_reference(self) -> Labelled:
        return self._referenced("exact_reference", _as_is)

    def lower_case(self) -> Labelled:
        return self._referenced("lower_case", _lower)

    def missing_prefix(self) -> Labelled:
        return self._referenced("missing_prefix", _missing_prefix)

    def typo(self) -> Labelled:
        (invoice,) = self._take()
        return self._labelled("typo", [invoice], _around(self.dice, _typo(self.dice, str(invoice.number))))

    def several_named(self) -> Labelled:
        invoices = self._take(self.dice.randint(2, 4))
        numbers = [str(invoice.number) for invoice in invoices]
        glue = self.dice.choice([", ", " ", "/", " + ", " and ", ";"])
        heads = {number.rpartition("-")[0] for number in numbers}
        if self.dice.random() < 0.3 and len(heads) == 1 and heads != {""}:
            numbers[1:] = [number.rpartition("-")[2] for number in numbers[1:]]
        return self._labelled("several_named", invoices, _around(self.dice, glue.join(numbers)))

    def several_unnamed(self) -> Labelled:
        invoices = self._take(self.dice.randint(2, 3))
        return self._labelled(
            "several_unnamed", invoices, self.dice.choice(["", "open invoices", "statement Nov", "account settlement"])
        )

    def payer_and_amount(self) -> Labelled:
        (invoice,) = self._take()
        return self._labelled(
            "payer_and_amount",
            [invoice],
            self.dice.choice(["", "invoice", "payment", "PO 4500017", "services October"]),
        )

    def ambiguous_amount(self) -> Labelled:
        """The customer has another open invoice of the same amount and says nothing."""
        (invoice,) = self._take()
        twin_number = f"INV-2027-{self.dice.randint(1, 99999):05d}"
        twin = msgspec.structs.replace(invoice, id=_uuid(self.dice), number=twin_number, terms=None)
        self.book.invoices[twin.id] = twin
        return self._labelled("ambiguous_amount", [invoice], "")

    def short_pay_fee(self) -> Labelled:
        (invoice,) = self._take()
        fee = min(self.dice.choice([500, 800, 1000, 1200, 1500]), invoice.due_cents // 3)
        text = str(invoice.number) if self.dice.random() < 0.75 else "less bank fee"
        return self._labelled("short_pay_fee", [invoice], text, cents=invoice.due_cents - fee)

    def early_discount(self) -> Labelled:
        while True:
            (invoice,) = self._take()
            if invoice.terms and invoice.terms.startswith("2/10"):
                break
        paid = (invoice.due_cents * 98 + 50) // 100
        text = f"{invoice.number} less 2%" if self.dice.random() < 0.7 else "2 % discount taken"
        return self._labelled("early_discount", [invoice], text, cents=paid)

    def partial(self) -> Labelled:
        (invoice,) = self._take()
        cents = max(1, invoice.due_cents * self.dice.choice([30, 40, 50, 60]) // 100)
        return self._labelled(
            "partial", [invoice], f"part payment {invoice.number}", cents=cents, paid={invoice.id: cents}
        )

    def overpaid(self) -> Labelled:
        (invoice,) = self._take()
        cents = invoice.due_cents + self.dice.choice([1, 100, 1000, 5000])
        return self._labelled("overpaid", [invoice], f"{invoice.number}", cents=cents)

    def other_name_named(self) -> Labelled:
        (invoice,) = self._take()
        customer = self.of[invoice.customer_id]
        self.aliased.add(customer.id)
        return self._labelled(
            "other_name_named", [invoice], _around(self.dice, str(invoice.number)), payer=customer.pays_as
        )

    def other_name_learned(self) -> Labelled:
        """The second time under the other name, now without a number: only what was learned from the first helps."""
        ready = [customer_id for customer_id in self.aliased if self.book.free.get(customer_id)]
        if not ready:
            return self.other_name_named()
        customer_id = self.dice.choice(sorted(ready))
        invoice = self.book.invoices[self.book.free[customer_id].pop()]
        return self._labelled("other_name_learned", [invoice], "", payer=self.of[customer_id].pays_as)

    def other_name_unnamed(self) -> Labelled:
        (invoice,) = self._take()
        customer = self.of[invoice.customer_id]
        return self._labelled(
            "other_name_unnamed", [invoice], "", payer=f"{customer.pays_as} X{self.dice.randint(1, 99)}"
        )

    def duplicate(self) -> Labelled:
        """The same payment once more: there is nothing left to pay."""
        repeatable = [
            labelled
            for labelled in self.earlier[-400:]
            if labelled.kind in ("exact_reference", "lower_case", "several_named")
        ]
        if not repeatable:
            return self.exact_reference()
        first = self.dice.choice(repeatable).receipt
        return Labelled(_again(first, _uuid(self.dice)), "duplicate", {})

    def unknown_payer(self) -> Labelled:
        (invoice,) = self._take()
        return self._labelled(
            "unknown_payer",
            [invoice],
            self.dice.choice(["", "payment", "thank you"]),
            payer=self.dice.choice([_person(self.dice), None]),
        )

    def stranger(self) -> Labelled:
        """Money that pays no invoice at all."""
        (invoice,) = self._take()
        cents = self.dice.choice([self.dice.choice(PRICES_CENTS), self.dice.randint(1000, 900000)])
        return self._labelled("stranger", [invoice], "refund deposit", payer=_person(self.dice), cents=cents, paid={})

    def wrong_reference(self) -> Labelled:
        """A number of somebody else's invoice, or of one that was paid long ago."""
        (invoice,) = self._take()
        other = self.dice.choice(self.book.closed) if self.dice.random() < 0.5 else self._take()[0]
        return self._labelled("wrong_reference", [invoice], f"inv {other.number}")


def _again(receipt: Receipt, receipt_id: UUID) -> Receipt:
    return msgspec.structs.replace(receipt, id=receipt_id, payment_date=receipt.payment_date + timedelta(days=1))


# In how many of a hundred payments each kind is met: the standard mix.
STANDARD_MIX: dict[str, float] = {
    "exact_reference": 30.0,
    "lower_case": 12.0,
    "missing_prefix": 8.0,
    "typo": 4.0,
    "several_named": 9.0,
    "several_unnamed": 3.0,
    "payer_and_amount": 12.0,
    "ambiguous_amount": 2.0,
    "short_pay_fee": 4.0,
    "early_discount": 2.0,
    "partial": 2.0,
    "overpaid": 1.5,
    "other_name_named": 3.5,
    "other_name_learned": 1.0,
    "other_name_unnamed": 0.5,
    "duplicate": 2.0,
    "unknown_payer": 1.5,
    "stranger": 0.5,
    "wrong_reference": 1.5,
}


def make_payments(book: Book, seed: int, count: int) -> list[Labelled]:
    """So many payments of the standard mix, in the order in which they come in; adds twins to the book."""
    writer = Writer(book, seed)
    kinds = writer.dice.choices(list(STANDARD_MIX), weights=list(STANDARD_MIX.values()), k=count)
    for kind in kinds:
        writer.earlier.append(getattr(writer, kind)())
    return writer.earlier
