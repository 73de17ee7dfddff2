"""How much of an invoice a credit note takes back, and which part of that is tax (docs/accounting.md).

Several notes against one invoice take its tax cumulatively: the n-th takes the rounded tax of all n together less what
the earlier ones took. Whatever the notes are made of, all of them together equal the invoice to the cent.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import msgspec

from services.invoices.credits.errors import (
    AllocatedTwice,
    AllocationExceedsDue,
    CreditExceedsInvoice,
    CreditExceedsUnapplied,
    CreditFullyUsed,
    CreditNotPositive,
    CurrencyMismatch,
    InvoiceNotOpen,
    LineExceeded,
    LineShareMissing,
    LineTwice,
    LineUnknown,
    NotCreditable,
    OtherCustomer,
)
from services.invoices.lines.model import Line
from services.invoices.settlement.model import Receivable
from services.invoices.tax.model import TaxRate
from shared.money import major, round_half_up

TAX_INLINE = "inline"
ZERO = Decimal(0)


class CreditedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a credit note must know of its invoice: what was billed, and what earlier notes took."""

    total_cents: int
    tax_cents: int
    tax_type: str
    lines: tuple["CreditableLine", ...]
    credited_cents: int = 0
    credited_tax_cents: int = 0
    credited_rest_cents: int = 0

    @property
    def left_cents(self) -> int:
        """What no note has taken yet, tax included."""
        return self.total_cents - self.credited_cents

    @property
    def left_tax_cents(self) -> int:
        """Tax that no note has taken yet."""
        return self.tax_cents - self.credited_tax_cents

    @property
    def left_rest_cents(self) -> int:
        """Net that stands on no line (an adjustment, or all of an invoice without lines), not taken yet."""
        on_lines = sum(line.net_cents for line in self.lines)
        return self.total_cents - self.tax_cents - on_lines - self.credited_rest_cents


class CreditableLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the invoice. `net_cents`: after its own discount and its share of the invoice's, before tax."""

    id: UUID
    quantity: Decimal
    net_cents: int
    rates: tuple[TaxRate, ...] = ()
    credited_cents: int = 0
    credited_quantity: Decimal = Decimal(0)

    @property
    def left_cents(self) -> int:
        """Net of the line that no note has taken yet."""
        return self.net_cents - self.credited_cents


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What earlier notes took of an invoice."""

    total_cents: int
    tax_cents: int
    rest_cents: int
    lines: tuple["CreditedLine", ...]


def creditable(invoice: Receivable, taken: Taken) -> CreditedInvoice:
    """An invoice as the next credit note must see it; what was credited of lines that are gone stands on no line."""
    by_line = {line.line_item_id: line for line in taken.lines}
    kept = {line.id for line in invoice.lines}
    gone_cents = sum(line.net_cents for line in taken.lines if line.line_item_id not in kept)
    rates = invoice.price_terms.rates
    return CreditedInvoice(
        total_cents=invoice.amount_cents,
        tax_cents=invoice.tax_cents,
        tax_type=invoice.tax_type,
        lines=tuple(_creditable(line, rates, by_line.get(line.id)) for line in invoice.lines),
        credited_cents=taken.total_cents,
        credited_tax_cents=taken.tax_cents,
        credited_rest_cents=taken.rest_cents + gone_cents,
    )


def _creditable(line: Line, rates: tuple[TaxRate, ...], taken: "CreditedLine | None") -> CreditableLine:
    return CreditableLine(
        id=line.id,
        quantity=line.quantity,
        net_cents=line.taxed_cents,
        rates=line.rates(rates),
        credited_cents=taken.net_cents if taken else 0,
        credited_quantity=taken.quantity if taken else ZERO,
    )


class LineShare(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a line is to be credited: a quantity of it or a net amount."""

    line_item_id: UUID
    quantity: Decimal | None = None
    amount_cents: int | None = None


class CreditedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a note takes of a line, net of tax."""

    line_item_id: UUID
    net_cents: int
    quantity: Decimal


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """What a credit note takes back. `rest_cents`: net that stands on no line."""

    lines: tuple[CreditedLine, ...]
    rest_cents: int
    tax_cents: int

    @property
    def net_cents(self) -> int:
        """Without tax."""
        return sum(line.net_cents for line in self.lines) + self.rest_cents

    @property
    def total_cents(self) -> int:
        """With tax."""
        return self.net_cents + self.tax_cents


def whole(invoice: CreditedInvoice) -> Credit:
    """Everything that no earlier note has taken."""
    if invoice.left_cents <= 0:
        raise CreditFullyUsed
    lines = tuple(
        CreditedLine(
            line_item_id=line.id, net_cents=line.left_cents, quantity=max(line.quantity - line.credited_quantity, ZERO)
        )
        for line in invoice.lines
        if line.left_cents
    )
    return Credit(lines=lines, rest_cents=invoice.left_rest_cents, tax_cents=invoice.left_tax_cents)


def of_amount(invoice: CreditedInvoice, amount_cents: int) -> Credit:
    """An amount, tax included: the same part of what is left of every line, with the tax that stands on that."""
    assert amount_cents > 0, amount_cents
    if amount_cents > invoice.left_cents:
        raise CreditExceedsInvoice(amount=major(amount_cents), left=major(max(invoice.left_cents, 0)), field="amount")
    if amount_cents == invoice.left_cents:
        return whole(invoice)
    part = Decimal(amount_cents) / invoice.left_cents
    taken = {line.id: line.left_cents * part for line in invoice.lines}
    tax_cents = _next_tax(invoice, _tax_so_far(invoice, taken, rest_cents=invoice.left_rest_cents * part))
    *nets, rest_cents = _portions(
        amount_cents - tax_cents, [*(line.left_cents for line in invoice.lines), invoice.left_rest_cents]
    )
    lines = tuple(
        CreditedLine(line_item_id=line.id, net_cents=net_cents, quantity=ZERO)
        for line, net_cents in zip(invoice.lines, nets, strict=True)
        if net_cents
    )
    return Credit(lines=lines, rest_cents=rest_cents, tax_cents=tax_cents)


def of_lines(invoice: CreditedInvoice, shares: Sequence[LineShare]) -> Credit:
    """Named lines, each by quantity or net amount, with the tax that stands on them."""
    lines = tuple(_credited(invoice, share, i) for i, share in enumerate(shares))
    _refuse_twice(shares)
    taken = {line.line_item_id: line.net_cents for line in lines}
    if _takes_everything(invoice, taken):
        tax_cents = invoice.left_tax_cents
    else:
        tax_cents = _next_tax(invoice, _tax_so_far(invoice, taken))
    credit = Credit(lines=lines, rest_cents=0, tax_cents=tax_cents)
    if credit.total_cents <= 0:
        raise CreditNotPositive(amount=major(credit.total_cents), field="line_items")
    if credit.total_cents > invoice.left_cents:
        raise CreditExceedsInvoice(
            amount=major(credit.total_cents), left=major(max(invoice.left_cents, 0)), field="line_items"
        )
    return credit


def _refuse_twice(shares: Sequence[LineShare]) -> None:
    seen: set[UUID] = set()
    for i, share in enumerate(shares):
        if share.line_item_id in seen:
            raise LineTwice(line_item_id=share.line_item_id, field=f"line_items[{i}].line_item_id")
        seen.add(share.line_item_id)


def _credited(invoice: CreditedInvoice, share: LineShare, index: int) -> CreditedLine:
    line = next((line for line in invoice.lines if line.id == share.line_item_id), None)
    if line is None:
        raise LineUnknown(line_item_id=share.line_item_id, field=f"line_items[{index}].line_item_id")
    if share.quantity is not None and share.amount_cents is None:
        return _by_quantity(line, share.quantity, index)
    if share.amount_cents is not None and share.quantity is None:
        return _by_amount(line, share.amount_cents, index)
    raise LineShareMissing(field=f"line_items[{index}]")


def _by_quantity(line: CreditableLine, quantity: Decimal, index: int) -> CreditedLine:
    """The part of the line's net that these units are, cumulatively, so that all units together are the line."""
    left = line.quantity - line.credited_quantity
    if quantity > left:
        raise LineExceeded(left=max(left, ZERO), field=f"line_items[{index}].quantity")
    if quantity == left:
        return CreditedLine(line_item_id=line.id, net_cents=line.left_cents, quantity=quantity)
    before = proportion(line.net_cents, line.credited_quantity, line.quantity)
    after = proportion(line.net_cents, line.credited_quantity + quantity, line.quantity)
    return _within(line, after - before, quantity, f"line_items[{index}].quantity")


def _by_amount(line: CreditableLine, amount_cents: int, index: int) -> CreditedLine:
    """A net amount; for a negative line it is the size of what is taken back."""
    signed_cents = -amount_cents if line.net_cents < 0 else amount_cents
    return _within(line, signed_cents, ZERO, f"line_items[{index}].amount")


def _within(line: CreditableLine, net_cents: int, quantity: Decimal, field: str) -> CreditedLine:
    if abs(net_cents) > abs(line.left_cents) or net_cents * line.left_cents < 0:
        raise LineExceeded(left=major(abs(line.left_cents)), field=field)
    return CreditedLine(line_item_id=line.id, net_cents=net_cents, quantity=quantity)


def _takes_everything(invoice: CreditedInvoice, taken: Mapping[UUID, Decimal | int]) -> bool:
    return invoice.left_rest_cents == 0 and all(line.left_cents == taken.get(line.id, 0) for line in invoice.lines)


def _tax_so_far(invoice: CreditedInvoice, taken: Mapping[UUID, Decimal | int], *, rest_cents: Decimal | int = 0) -> int:
    """The rounded tax of all notes together, this one included."""
    nets = [line.credited_cents + Decimal(taken.get(line.id, 0)) for line in invoice.lines]
    if not any(line.rates for line in invoice.lines):
        return _given_tax_so_far(invoice, nets, rest_cents)
    rated = [(rate, net) for line, net in zip(invoice.lines, nets, strict=True) for rate in line.rates]
    if invoice.tax_type == TAX_INLINE:
        return sum(tax_of(net, rate.rate) for rate, net in rated)
    bases: defaultdict[TaxRate, Decimal] = defaultdict(Decimal)
    for rate, net in rated:
        bases[rate] += net
    return sum(tax_of(base, rate.rate) for rate, base in bases.items())


def _given_tax_so_far(invoice: CreditedInvoice, nets: Sequence[Decimal], rest_cents: Decimal | int) -> int:
    """A tax that was billed as an amount, without rates, stands on all lines alike, or on the whole net."""
    if invoice.lines:
        return proportion(invoice.tax_cents, sum(nets), sum(line.net_cents for line in invoice.lines))
    net_cents = invoice.total_cents - invoice.tax_cents
    return proportion(invoice.tax_cents, invoice.credited_rest_cents + rest_cents, net_cents)


def tax_of(net_cents: Decimal, rate: Decimal) -> int:
    """Tax in cents on a net amount in cents."""
    return round_half_up((net_cents * rate).scaleb(-2))


def _next_tax(invoice: CreditedInvoice, tax_so_far_cents: int) -> int:
    """What this note takes of the tax: never more than is left, never any back."""
    low, high = sorted((0, invoice.left_tax_cents))
    return min(max(tax_so_far_cents - invoice.credited_tax_cents, low), high)


def proportion(total_cents: int, part: Decimal | int, whole_part: Decimal | int) -> int:
    """`total_cents` × part ÷ whole, half a cent rounded away from zero; nothing of nothing."""
    if not whole_part:
        return 0
    return round_half_up(major(total_cents) * part / whole_part)


def _portions(total_cents: int, weights: Sequence[int]) -> list[int]:
    """Split in proportion to weights of either sign by differences of the rounded running sum; sums exactly."""
    whole_weight = sum(weights)
    if whole_weight == 0:
        return [*[0] * (len(weights) - 1), total_cents]
    running = [proportion(total_cents, sum(weights[: i + 1]), whole_weight) for i in range(len(weights))]
    return [after - before for before, after in zip([0, *running], running, strict=False)]


def with_credit(invoice: CreditedInvoice, credit: Credit) -> CreditedInvoice:
    """The invoice as the next note will find it."""
    taken = {line.line_item_id: line for line in credit.lines}
    return msgspec.structs.replace(
        invoice,
        credited_cents=invoice.credited_cents + credit.total_cents,
        credited_tax_cents=invoice.credited_tax_cents + credit.tax_cents,
        credited_rest_cents=invoice.credited_rest_cents + credit.rest_cents,
        lines=tuple(_line_with(line, taken.get(line.id)) for line in invoice.lines),
    )


def _line_with(line: CreditableLine, taken: CreditedLine | None) -> CreditableLine:
    if taken is None:
        return line
    return msgspec.structs.replace(
        line,
        credited_cents=line.credited_cents + taken.net_cents,
        credited_quantity=line.credited_quantity + taken.quantity,
    )


class CreditState(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note that is to be applied: whose it is, and how much of it is left."""

    customer_id: UUID
    currency: str
    unapplied_cents: int


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a credit is to lower what is due on one invoice."""

    invoice_id: UUID
    amount_cents: int


def refuse_uncreditable(invoice: Receivable) -> None:
    """Only what was billed, and not taken back as a whole, can be credited."""
    if not invoice.is_issued:
        raise NotCreditable(status=invoice.status)


def refuse_allocations(
    note: CreditState, allocations: Sequence[Allocation], targets: Mapping[UUID, Receivable]
) -> None:
    """Refuse what does not fit the note or its invoices; every invoice is in `targets`."""
    seen: set[UUID] = set()
    for i, allocation in enumerate(allocations):
        if allocation.invoice_id in seen:
            raise AllocatedTwice(invoice_id=allocation.invoice_id, field=f"allocations[{i}].invoice_id")
        seen.add(allocation.invoice_id)
        _refuse_allocation(note, allocation, targets[allocation.invoice_id], f"allocations[{i}]")
    total_cents = sum(allocation.amount_cents for allocation in allocations)
    if total_cents > note.unapplied_cents:
        raise CreditExceedsUnapplied(amount=major(total_cents), left=major(note.unapplied_cents), field="allocations")


def _refuse_allocation(note: CreditState, allocation: Allocation, target: Receivable, field: str) -> None:
    if target.customer_id != note.customer_id:
        raise OtherCustomer(invoice_id=target.id, field=f"{field}.invoice_id")
    if target.currency != note.currency:
        raise CurrencyMismatch(invoice_id=target.id, currency=target.currency, field=f"{field}.invoice_id")
    if not target.is_issued:
        raise InvoiceNotOpen(invoice_id=target.id, status=target.status, field=f"{field}.invoice_id")
    if allocation.amount_cents > target.amount_due_cents:
        raise AllocationExceedsDue(due=major(target.amount_due_cents), invoice_id=target.id, field=f"{field}.amount")
