"""How good and how fast cash application is: `python -m bench.matching` prints shares per kind and time."""

import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from bench.payments_generator import TEST_SEED, TOLERANCE_CENTS, TUNING_SEED, Book, Labelled, make_book, make_payments
from bench.rows import ROUNDS, Row, median
from services.payments.matching import names, references, search
from services.payments.matching.index import OpenInvoices
from services.payments.matching.model import OpenInvoice, Rules, Suggestion
from services.payments.matching.references import Form

NUMBER_RULES = ("invoice_number_and_amount", "invoice_number_and_short_pay")


@dataclass
class Score:
    """What became of the payments of each kind."""

    met: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Labelled, Suggestion]] = field(default_factory=list)
    left: list[Labelled] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def applied_share(self) -> float:
        return self.applied.total() / self.met.total()

    @property
    def right_share(self) -> float:
        return self.right.total() / max(1, self.applied.total())


def run(book: Book, payments: list[Labelled], rules: Rules | None = None) -> Score:
    """Let the payments come in one by one, as in the service: what is applied is no longer due, and teaches."""
    rules = rules or Rules(tolerance_cents=TOLERANCE_CENTS)
    index = OpenInvoices(book.invoices.values())
    closed: dict[str, UUID] = {}
    for invoice in book.closed:
        _close(closed, invoice)
    score = Score()
    for labelled in payments:
        start = time.thread_time()  # of the processor: the machine may have others to serve
        certain = search.find(labelled.receipt, index, rules, closed).certain
        score.seconds.append(time.thread_time() - start)
        score.met[labelled.kind] += 1
        if certain is None:
            score.left.append(labelled)
            continue
        _judge(score, labelled, certain)
        _apply(index, labelled, certain, closed)
    return score


def _close(closed: dict[str, UUID], invoice: OpenInvoice) -> None:
    keys = references.number(str(invoice.number)).keys
    closed.update({key: invoice.customer_id for key, form in keys.items() if form is not Form.TAIL})


def _judge(score: Score, labelled: Labelled, certain: Suggestion) -> None:
    score.applied[labelled.kind] += 1
    answer = {a.invoice_id: a.amount_cents + a.write_off_cents for a in certain.allocations}
    if answer == labelled.paid:
        score.right[labelled.kind] += 1
    else:
        score.wrong.append((labelled, certain))


def _apply(index: OpenInvoices, labelled: Labelled, certain: Suggestion, closed: dict[str, UUID]) -> None:
    for allocation in certain.allocations:
        invoice = index.get(allocation.invoice_id)
        assert invoice is not None
        index.pay(invoice.id, allocation.amount_cents + allocation.write_off_cents)
        if index.get(invoice.id) is None and invoice.number:
            _close(closed, invoice)
        if certain.rule in NUMBER_RULES and labelled.receipt.payer_name:
            index.payers.learn(names.key(labelled.receipt.payer_name), invoice.customer_id)


def report(score: Score) -> str:
    """A table: for each kind how many came, how many were applied by themselves, and how many of those were right."""
    lines = [f"{'kind':20} {'payments':>9} {'applied':>9} {'right':>9}"]
    lines += [_line(kind, score.met[kind], score.applied[kind], score.right[kind]) for kind in sorted(score.met)]
    lines.append(_line("all", score.met.total(), score.applied.total(), score.right.total()))
    milliseconds = sorted(second * 1000 for second in score.seconds)
    lines.append(
        f"ms a payment: median {statistics.median(milliseconds):.3f}, mean {statistics.mean(milliseconds):.3f}, "
        f"p99 {milliseconds[len(milliseconds) * 99 // 100]:.3f}"
    )
    return "\n".join(lines)


def _line(kind: str, met: int, applied: int, right: int) -> str:
    return f"{kind:20} {met:9} {applied / met:9.1%} {right / applied if applied else 1:9.2%}"


async def match() -> list[Row]:
    """The rows of `make bench`: how quick, how much, how right; and the pace against 100,000 open invoices."""
    small = [_measured(TEST_SEED + round_, invoices=10_000, payments=2_000) for round_ in range(ROUNDS)]
    large = _measured(TEST_SEED, invoices=100_000, payments=10_000)
    milliseconds = median([statistics.median(score.seconds) * 1000 for score in small])
    pace = f"100,000 payments against 100,000 invoices: {sum(large.seconds) * 10:.0f} s (10,000 measured)"
    return [
        Row("match", 1.0, milliseconds, at_least=False, unit="ms", detail=f"a payment, 10,000 open invoices; {pace}"),
        Row("match-applied", 85, median([score.applied_share * 100 for score in small]), at_least=True, unit="%"),
        Row("match-right", 99.5, median([score.right_share * 100 for score in small]), at_least=True, unit="%"),
    ]


def _measured(seed: int, *, invoices: int, payments: int) -> Score:
    book = make_book(seed, invoice_count=invoices, closed_count=invoices)
    return run(book, make_payments(book, seed + 1, payments))


def main() -> None:
    seed = TUNING_SEED if "--tuning" in sys.argv else TEST_SEED
    book = make_book(seed)
    score = run(book, make_payments(book, seed + 1, 5_000))
    print(report(score))
    if "--wrong" in sys.argv:
        for labelled, certain in score.wrong[:25]:
            print(labelled.kind, labelled.receipt, "\n    ", certain.rule, certain.confidence, certain.evidence)
    if "--left" in sys.argv:
        for labelled in score.left[:60]:
            print(labelled.kind, labelled.receipt.payer_name, "|", labelled.receipt.text)


if __name__ == "__main__":
    main()
