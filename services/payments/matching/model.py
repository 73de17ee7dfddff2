"""What cash application knows and decides: an open invoice, a payment, the signals found, and how sure they make us.

Pure: no database, no clock, no chance. The confidences are a table (`FITS`), not a sum of secret weights, so that
each can be read, argued about and tested. Source of the rules: docs/accounting.md "Cash application".
"""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import Enum, StrEnum
from math import comb, gcd
from uuid import UUID

import msgspec

from services.payments.matching import amounts
from services.payments.matching.references import Strength

DEFAULT_THRESHOLD = 0.95
CLEARLY_AHEAD = 0.05  # so much surer than the second best, or it waits for a person
EARLY_DAYS = 3  # a bank's value date may be a little before the day of issue
NEAR_DUE_DAYS = 7
MAX_FEE_SHARE = 0.2  # a fee is small beside the invoice; half of it missing is a part payment
CHANCE_LIMIT = 0.002  # a sum that fits by chance more often than 1 in 500 proves nothing
SHORT_PAY_CHANCE_LIMIT = 0.05


class OpenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """Our copy of an invoice that still has something due."""

    id: UUID
    customer_id: UUID
    customer_name: str
    number: str | None
    currency: str
    amount_cents: int
    due_cents: int
    issue_date: date
    due_date: date
    terms: str | None = None

    @property
    def name(self) -> str:
        return self.number or str(self.id)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as matching sees it: the part of it that is still unapplied, and every word that came with it."""

    id: UUID
    amount_cents: int
    currency: str
    payment_date: date
    payer_name: str | None = None
    text: str = ""
    refused_invoice_ids: frozenset[UUID] = frozenset()  # a person undid these; never apply them again


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant's settings."""

    threshold: float = DEFAULT_THRESHOLD
    tolerance_cents: int = 0


class PayerSign(Enum):
    """How the payer's name points at a customer; the value is the reason in words."""

    ALIAS = 'payer "{payer}" has paid for {customer} before'
    SAME = 'payer "{payer}" is the customer {customer}'
    ALIKE = 'payer "{payer}" reads like the customer {customer}'
    VAGUE = 'payer "{payer}" may be the customer {customer}'
    IN_TEXT = "the text names the customer {customer}"


SURE_SIGNS = (PayerSign.ALIAS, PayerSign.SAME)


class Payer(msgspec.Struct, frozen=True):
    """A customer who may be the payer."""

    customer_id: UUID
    customer_name: str
    sign: PayerSign
    likeness: float


class Fit(StrEnum):
    """How an amount relates to what the invoices of an explanation have due."""

    EQUAL = "equal"
    DISCOUNT = "discount"
    SHORT = "short"
    LESS = "less"
    MORE = "more"


class Rule(StrEnum):
    """The names under which decisions are explained."""

    NUMBER_AND_AMOUNT = "invoice_number_and_amount"
    NUMBER_AND_SHORT_PAY = "invoice_number_and_short_pay"
    NUMBER_AND_PAYER = "invoice_number_and_payer"
    NUMBER_ONLY = "invoice_number"
    PAYER_AND_AMOUNT = "payer_and_amount"
    PAYER_AND_SUM = "payer_and_sum"
    PAYER_CLEARS_ACCOUNT = "payer_clears_account"
    PAYER_AND_SHORT_PAY = "payer_and_short_pay"
    PAYER_ONLY = "payer"
    AMOUNT_ONLY = "amount"
    NEAR_NUMBER = "similar_invoice_number"


NEVER_ALONE = frozenset((Rule.AMOUNT_ONLY, Rule.NEAR_NUMBER, Rule.PAYER_ONLY, Rule.NUMBER_ONLY))

# (fit, strength of the weakest number named) -> confidence (without a sign of the payer, with one).
FITS: dict[tuple[Fit, Strength], tuple[float, float]] = {
    (Fit.EQUAL, Strength.EXACT): (0.99, 0.995),
    (Fit.EQUAL, Strength.LIKELY): (0.96, 0.985),
    (Fit.EQUAL, Strength.FAINT): (0.85, 0.97),
    (Fit.EQUAL, Strength.NEAR): (0.80, 0.92),
    (Fit.DISCOUNT, Strength.EXACT): (0.98, 0.99),
    (Fit.DISCOUNT, Strength.LIKELY): (0.94, 0.975),
    (Fit.DISCOUNT, Strength.FAINT): (0.75, 0.955),
    (Fit.DISCOUNT, Strength.NEAR): (0.70, 0.90),
    (Fit.SHORT, Strength.EXACT): (0.94, 0.985),
    (Fit.SHORT, Strength.LIKELY): (0.90, 0.965),
    (Fit.SHORT, Strength.FAINT): (0.60, 0.92),
    (Fit.SHORT, Strength.NEAR): (0.55, 0.85),
    (Fit.LESS, Strength.EXACT): (0.88, 0.96),
    (Fit.LESS, Strength.LIKELY): (0.70, 0.90),
    (Fit.LESS, Strength.FAINT): (0.20, 0.50),
    (Fit.LESS, Strength.NEAR): (0.20, 0.50),
    (Fit.MORE, Strength.EXACT): (0.86, 0.955),
    (Fit.MORE, Strength.LIKELY): (0.65, 0.85),
    (Fit.MORE, Strength.FAINT): (0.15, 0.40),
    (Fit.MORE, Strength.NEAR): (0.15, 0.40),
}
PAYER_CONFIDENCE = {
    PayerSign.ALIAS: 0.97,
    PayerSign.SAME: 0.97,
    PayerSign.ALIKE: 0.955,
    PayerSign.VAGUE: 0.85,
    PayerSign.IN_TEXT: 0.93,
}
SUM_LESS = 0.01  # a sum of several is a little less telling than one equal amount
TIED = 0.6
LESS_NEAR = 0.005  # of equal suggestions, the one due nearest to the payment stands first
AMOUNT_ALONE = 0.6
OLDEST_FIRST = 0.4
OTHER_CUSTOMER_PAYS = 0.85
AGENT_PAYS = 0.97  # one that paid for another customer before may pay for several
NAMES_VAGUELY_ANOTHER = 0.97
NAMES_ANOTHER = 0.80
NAMES_UNKNOWN = 0.93
TOO_EARLY = 0.93
BY_CHANCE = 0.90


class Allocation(msgspec.Struct, frozen=True):
    """So much of the payment for that invoice; `write_off_cents` is the tolerated rest that nobody will pay."""

    invoice_id: UUID
    amount_cents: int
    write_off_cents: int = 0


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One way to explain a payment."""

    allocations: tuple[Allocation, ...]
    confidence: float
    rule: Rule
    evidence: tuple[str, ...]
    may_apply: bool = True

    @property
    def invoice_ids(self) -> frozenset[UUID]:
        return frozenset(allocation.invoice_id for allocation in self.allocations)


class Finding(msgspec.Struct, frozen=True):
    """All explanations of a payment, the surest first, and the one that is certain and unambiguous, if any."""

    suggestions: tuple[Suggestion, ...]
    certain: Suggestion | None


def decide(suggestions: Sequence[Suggestion], rules: Rules) -> Suggestion | None:
    """The suggestion that may be applied without asking: sure enough, and clearly ahead of any other."""
    if not suggestions:
        return None
    best = suggestions[0]
    if not best.may_apply or best.rule in NEVER_ALONE or best.confidence < rules.threshold:
        return None
    second = suggestions[1].confidence if len(suggestions) > 1 else 0.0
    return best if best.confidence - second >= CLEARLY_AHEAD - 1e-9 else None


def fit(amount_cents: int, invoices: Sequence[OpenInvoice], payment_date: date, rules: Rules) -> Fit:
    """How the amount relates to what these invoices have due."""
    due = sum(invoice.due_cents for invoice in invoices)
    if amount_cents == due:
        return Fit.EQUAL
    if amount_cents > due:
        return Fit.MORE
    if amount_cents == sum(discounted_due(invoice, payment_date) for invoice in invoices):
        return Fit.DISCOUNT
    short = due - amount_cents
    return Fit.SHORT if short <= rules.tolerance_cents and short <= due * MAX_FEE_SHARE else Fit.LESS


def may_be_fee(amount_cents: int, invoices: Sequence[OpenInvoice], rules: Rules) -> bool:
    """Whether what is missing could be a fee although it is much beside the invoice: a fee, or a part payment?"""
    return sum(invoice.due_cents for invoice in invoices) - amount_cents <= rules.tolerance_cents


def discounted_due(invoice: OpenInvoice, payment_date: date) -> int:
    """What is due after the early-payment discount that the invoice's own terms grant on that day; else all of it."""
    discount = amounts.early_payment_discount(invoice.terms)
    if (
        discount is None
        or invoice.due_cents != invoice.amount_cents
        or payment_date > invoice.issue_date + timedelta(days=discount[1])
    ):
        return invoice.due_cents
    return amounts.discounted(invoice.due_cents, discount[0])


def allocate(amount_cents: int, invoices: Sequence[OpenInvoice], how: Fit) -> tuple[Allocation, ...]:
    """Spread the amount, oldest invoice first; a tolerated shortage is written off where it arises, on the last one."""
    rest = amount_cents
    allocations = []
    for invoice in invoices:
        take = min(rest, invoice.due_cents)
        if take > 0:
            allocations.append(Allocation(invoice.id, take))
        rest -= take
    short = sum(invoice.due_cents for invoice in invoices) - amount_cents
    if how in (Fit.DISCOUNT, Fit.SHORT) and len(allocations) == len(invoices):
        allocations[-1] = msgspec.structs.replace(allocations[-1], write_off_cents=short)
    return tuple(allocations)


def discount_allocations(invoices: Sequence[OpenInvoice], payment_date: date) -> tuple[Allocation, ...]:
    """Each invoice is paid less its own discount."""
    paid = [(invoice, discounted_due(invoice, payment_date)) for invoice in invoices]
    return tuple(Allocation(invoice.id, cents, invoice.due_cents - cents) for invoice, cents in paid)


def oldest_first(invoices: Sequence[OpenInvoice]) -> list[OpenInvoice]:
    return sorted(invoices, key=lambda invoice: (invoice.due_date, invoice.issue_date, invoice.id))


def is_too_early(payment_date: date, invoices: Sequence[OpenInvoice]) -> bool:
    """Whether somebody would have paid before the invoice was written."""
    return any(payment_date < invoice.issue_date - timedelta(days=EARLY_DAYS) for invoice in invoices)


def is_near_due(payment_date: date, invoices: Sequence[OpenInvoice]) -> bool:
    return all(abs((payment_date - invoice.due_date).days) <= NEAR_DUE_DAYS for invoice in invoices)


def chance_of_sum(dues_cents: Sequence[int], size: int, amount_cents: int) -> float:
    """Roughly how often some `size` of these amounts add up to a given amount by pure chance."""
    step = gcd(*dues_cents, amount_cents)
    return comb(len(dues_cents), size) * step / amount_cents


def chance_of_short_pay(dues_cents: Sequence[int], tolerance_cents: int, amount_cents: int) -> float:
    """The same for one of these amounts lying within the tolerance."""
    return len(dues_cents) * tolerance_cents / amount_cents


def in_words(cents: int, currency: str) -> str:
    """`123456, USD` → `1,234.56 USD`."""
    return f"{cents // 100:,}.{cents % 100:02d} {currency}"
