"""Every explanation of one payment that the open invoices offer, judged and ranked."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from uuid import UUID

import msgspec

from services.payments.matching import amounts, mentions, model
from services.payments.matching.index import MAX_OF_CUSTOMER, OpenInvoices
from services.payments.matching.mentions import Mention, Mentions
from services.payments.matching.model import (
    Allocation,
    Finding,
    Fit,
    OpenInvoice,
    Payer,
    PayerSign,
    Receipt,
    Rule,
    Rules,
    Suggestion,
    in_words,
)
from services.payments.matching.references import MIN_NEAR_DIGITS, Strength, Text, is_near, number

MAX_COMBINATIONS = 48
MAX_AMOUNT_ONLY = 8
MAX_SUGGESTIONS = 10
MAX_NAMED = 40
MAX_NEAR_ONLY = 3
NOTHING_CLOSED: Mapping[str, UUID] = {}


def find(receipt: Receipt, index: OpenInvoices, rules: Rules, closed: Mapping[str, UUID] = NOTHING_CLOSED) -> Finding:
    """Explain a payment by the open invoices; `closed` maps the numbers of closed ones to their customers."""
    ranked = _Search(receipt, index, rules, closed).ranked()
    return Finding(ranked, model.decide(ranked, rules))


class _Search:
    """The signals of one payment, read once; each method after that offers explanations of one kind."""

    def __init__(self, receipt: Receipt, index: OpenInvoices, rules: Rules, closed: Mapping[str, UUID]) -> None:
        self.receipt, self.index, self.rules = receipt, index, rules
        self.mentions: Mentions = mentions.read(Text(receipt.text), index, closed)
        self.named = [mention for mention in self.mentions.named if self._in_currency(mention)]
        self.payers = index.payers.find(receipt.payer_name, receipt.text)
        self.sure_payer = next((payer for payer in self.payers if payer.sign in model.SURE_SIGNS), None)

    def ranked(self) -> tuple[Suggestion, ...]:
        best: dict[frozenset[UUID], Suggestion] = {}
        for suggestion in self._all():
            known = best.get(suggestion.invoice_ids)
            if suggestion.allocations and (known is None or suggestion.confidence > known.confidence):
                best[suggestion.invoice_ids] = suggestion
        surest = sorted(best.values(), key=lambda suggestion: -suggestion.confidence)[:MAX_SUGGESTIONS]
        return tuple(self._guard(suggestion) for suggestion in surest)

    def _all(self) -> Iterator[Suggestion]:
        yield from self._by_number()
        yield from self._by_near_number()
        for payer in self.payers:
            yield from self._by_payer(payer)
        yield from self._by_amount()

    def _guard(self, suggestion: Suggestion) -> Suggestion:
        """What a person has undone is not applied again, however sure it looks."""
        if suggestion.invoice_ids & self.receipt.refused_invoice_ids:
            words = (*suggestion.evidence, "a person has undone this match before")
            return msgspec.structs.replace(suggestion, evidence=words, may_apply=False)
        return suggestion

    def _in_currency(self, mention: Mention) -> bool:
        return any(invoice.currency == self.receipt.currency for invoice in self._invoices(mention.invoice_ids))

    def _invoices(self, ids: Sequence[UUID]) -> list[OpenInvoice]:
        return [invoice for invoice_id in ids if (invoice := self.index.get(invoice_id))]

    # --- the text names invoices ---------------------------------------------------------------------------------

    def _by_number(self) -> Iterator[Suggestion]:
        firm = [mention for mention in self.named if mention.strength >= Strength.LIKELY][:MAX_NAMED]
        for chosen in self._combinations(firm):
            yield self._judge_named(chosen, min(mention.strength for mention in firm))
        exact = [mention for mention in firm if mention.strength is Strength.EXACT]
        if 1 < len(exact) < len(firm):
            for chosen in self._combinations(exact):
                suggestion = self._judge_named(chosen, Strength.EXACT)
                yield _at_most(suggestion, self._others_named(chosen))
        if len(firm) > 1:
            for mention in firm:
                yield from self._alone(mention, mention.strength)
        for mention in self.named:
            if mention.strength is Strength.FAINT:
                yield from self._alone(mention, Strength.FAINT)
        yield from self._named_and_more(firm)

    def _combinations(self, firm: Sequence[Mention]) -> Iterator[list[OpenInvoice]]:
        """One invoice for each number named; several ways where a number means several."""
        choices = [
            [invoice for invoice in self._invoices(mention.invoice_ids) if invoice.currency == self.receipt.currency]
            for mention in firm
        ]
        for chosen in islice(product(*choices), MAX_COMBINATIONS) if choices else ():
            yield model.oldest_first(list({invoice.id: invoice for invoice in chosen}.values()))

    def _alone(self, mention: Mention, strength: Strength) -> Iterator[Suggestion]:
        """One of the numbers may be the one that counts, if the amount says so."""
        for invoice in self._invoices(mention.invoice_ids):
            if invoice.currency == self.receipt.currency and invoice.due_cents == self.receipt.amount_cents:
                suggestion = self._judge_named([invoice], strength)
                yield msgspec.structs.replace(
                    suggestion, confidence=min(suggestion.confidence, self._others_named([invoice]))
                )

    def _others_named(self, invoices: Sequence[OpenInvoice]) -> float:
        ids = {invoice.id for invoice in invoices}
        others = [mention.strength for mention in self.named if not ids.intersection(mention.invoice_ids)]
        if Strength.EXACT in others:
            return model.NAMES_ANOTHER
        return model.NAMES_VAGUELY_ANOTHER if Strength.LIKELY in others else 1.0

    def _named_and_more(self, firm: Sequence[Mention]) -> Iterator[Suggestion]:
        """More money than the named invoices need may pay others of the same customer too."""
        for chosen in islice(self._combinations(firm), 2):
            rest = self.receipt.amount_cents - sum(invoice.due_cents for invoice in chosen)
            if rest <= 0 or len({invoice.customer_id for invoice in chosen}) != 1:
                continue
            others = [
                i for i in self.index.by_customer(chosen[0].customer_id, self.receipt.currency) if i not in chosen
            ]
            for more in self._sums(others, rest):
                words = f"together with {_names(more)} of the same customer the amount comes out"
                yield self._suggest(
                    [*chosen, *more], Fit.EQUAL, 0.92, Rule.NUMBER_AND_AMOUNT, [self._names_words(chosen), words]
                )

    def _judge_named(self, invoices: list[OpenInvoice], strength: Strength) -> Suggestion:
        how = model.fit(self.receipt.amount_cents, invoices, self.receipt.payment_date, self.rules)
        payer = self._payer_of(invoices)
        confidence = model.FITS[how, strength][payer is not None]
        words = [self._names_words(invoices, strength), self._amount_words(invoices, how)]
        if payer:
            words.append(_payer_words(payer, self.receipt))
        elif self.sure_payer:
            agent = self.sure_payer.sign is PayerSign.ALIAS and how is Fit.EQUAL and strength is Strength.EXACT
            confidence = min(confidence, model.AGENT_PAYS if agent else model.OTHER_CUSTOMER_PAYS)
            words.append(f"but {_payer_words(self.sure_payer, self.receipt)}, another customer")
        if how is Fit.LESS and (len(invoices) > 1 or model.may_be_fee(self.receipt.amount_cents, invoices, self.rules)):
            confidence = min(confidence, model.BY_CHANCE)
            words.append("which part of it stays due is for a person to say")
        if how in (Fit.LESS, Fit.MORE) and (better := self._fits_better(invoices)):
            confidence = min(confidence, model.BY_CHANCE)
            words.append(f"but {_names(better)} of the same customer has exactly this amount due")
        if how in (Fit.LESS, Fit.MORE, Fit.SHORT):
            confidence, words = self._doubts(invoices, confidence, words)
        return self._suggest(invoices, how, confidence, _number_rule(how, payer, strength), words)

    def _fits_better(self, invoices: Sequence[OpenInvoice]) -> list[OpenInvoice]:
        """Another invoice of the same customer on which nothing would be left over."""
        equal = self.index.by_customer_amount(invoices[0].customer_id, self.receipt.currency, self.receipt.amount_cents)
        return [invoice for invoice in equal if invoice not in invoices][:1]

    def _payer_of(self, invoices: Sequence[OpenInvoice]) -> Payer | None:
        customers = {invoice.customer_id for invoice in invoices}
        return next((payer for payer in self.payers if {payer.customer_id} == customers), None)

    def _names_words(self, invoices: Sequence[OpenInvoice], strength: Strength = Strength.EXACT) -> str:
        names = _names(invoices)
        return {
            Strength.EXACT: f"the text names {names}",
            Strength.LIKELY: f"the text has the digits of {names}",
            Strength.FAINT: f"a short number in the text may mean {names}",
            Strength.NEAR: f"a number in the text is one digit away from {names}",
        }[strength]

    # --- the text nearly names an invoice -----------------------------------------------------------------------

    def _by_near_number(self) -> Iterator[Suggestion]:
        customers = {payer.customer_id for payer in self.payers}
        for unknown in self.mentions.unknown:
            near = [i for i in self._invoices(unknown.near) if i.currency == self.receipt.currency]
            telling = [i for i in near if i.customer_id in customers or i.due_cents == self.receipt.amount_cents]
            for invoice in telling or near[:MAX_NEAR_ONLY]:
                suggestion = self._judge_named([invoice], Strength.NEAR)
                yield msgspec.structs.replace(suggestion, rule=Rule.NEAR_NUMBER)

    # --- the payer is known -------------------------------------------------------------------------------------

    def _by_payer(self, payer: Payer) -> Iterator[Suggestion]:
        invoices = self.index.by_customer(payer.customer_id, self.receipt.currency)
        if not invoices:
            return
        amount = self.receipt.amount_cents
        equal = self.index.by_customer_amount(payer.customer_id, self.receipt.currency, amount)
        yield from self._equal(payer, equal)
        sums = list(self._sums(invoices, amount))
        yield from self._sum(payer, invoices, sums, tied=bool(equal) or len(sums) > 1)
        if not equal and not sums:
            yield from self._short(payer, invoices)
        yield self._oldest(payer, invoices)

    def _equal(self, payer: Payer, equal: list[OpenInvoice]) -> Iterator[Suggestion]:
        nearest = sorted(equal, key=lambda invoice: abs((invoice.due_date - self.receipt.payment_date).days))
        for place, invoice in enumerate(nearest[:MAX_SUGGESTIONS]):
            words = [_payer_words(payer, self.receipt), self._amount_words([invoice], Fit.EQUAL)]
            confidence = model.PAYER_CONFIDENCE[payer.sign]
            if len(equal) > 1:
                confidence = model.TIED - place * model.LESS_NEAR
                words.append(f"but {len(equal)} invoices of this customer have the same amount due")
            else:
                words.append("no other invoice of this customer has this amount due")
            yield self._payer_suggestion([invoice], Fit.EQUAL, confidence, Rule.PAYER_AND_AMOUNT, words)

    def _sums(self, invoices: Sequence[OpenInvoice], amount_cents: int) -> Iterator[list[OpenInvoice]]:
        dues = [invoice.due_cents for invoice in invoices]
        for positions in amounts.subsets(dues, amount_cents):
            yield [invoices[position] for position in positions]
        if amounts.MAX_PARTS < len(invoices) < MAX_OF_CUSTOMER and sum(dues) == amount_cents:
            yield list(invoices)

    def _sum(
        self, payer: Payer, invoices: Sequence[OpenInvoice], sums: list[list[OpenInvoice]], *, tied: bool
    ) -> Iterator[Suggestion]:
        for chosen in sums:
            everything = len(chosen) == len(invoices)
            confidence = model.PAYER_CONFIDENCE[payer.sign] - (0.0 if everything else model.SUM_LESS)
            words = [_payer_words(payer, self.receipt), self._amount_words(chosen, Fit.EQUAL)]
            if tied:
                confidence = model.TIED - model.SUM_LESS
                words.append("but other invoices of this customer explain the amount as well")
            elif not everything and self._may_be_chance(invoices, len(chosen)):
                confidence = min(confidence, model.BY_CHANCE)
                words.append("but with so many open invoices such a sum may come out by chance")
            rule = Rule.PAYER_CLEARS_ACCOUNT if everything else Rule.PAYER_AND_SUM
            yield self._payer_suggestion(chosen, Fit.EQUAL, confidence, rule, words)

    def _may_be_chance(self, invoices: Sequence[OpenInvoice], size: int) -> bool:
        """Where not all were searched, or where there are many sums, one that fits proves little."""
        dues = [invoice.due_cents for invoice in invoices]
        if len(dues) > amounts.MAX_SEARCHED:
            return True
        return model.chance_of_sum(dues, size, self.receipt.amount_cents) > model.CHANCE_LIMIT

    def _short(self, payer: Payer, invoices: Sequence[OpenInvoice]) -> Iterator[Suggestion]:
        fits = [(invoice, how) for invoice in invoices if (how := self._short_fit([invoice])) is not None]
        if not fits and len(invoices) > 1 and (how := self._short_fit(invoices)) is not None:
            yield self._short_suggestion(payer, list(invoices), how, tied=False)
        tied = len(fits) > 1
        for invoice, how in fits:
            yield self._short_suggestion(payer, [invoice], how, tied=tied)

    def _short_fit(self, invoices: Sequence[OpenInvoice]) -> Fit | None:
        how = model.fit(self.receipt.amount_cents, invoices, self.receipt.payment_date, self.rules)
        return how if how in (Fit.DISCOUNT, Fit.SHORT) else None

    def _short_suggestion(self, payer: Payer, invoices: list[OpenInvoice], how: Fit, *, tied: bool) -> Suggestion:
        words = [_payer_words(payer, self.receipt), self._amount_words(invoices, how)]
        confidence = model.PAYER_CONFIDENCE[payer.sign] - model.SUM_LESS
        if tied:
            confidence = model.TIED - model.SUM_LESS
            words.append("but another invoice of this customer fits as well")
        elif self._is_crowded(payer) or (how is Fit.SHORT and self._may_be_short_by_chance(payer)):
            confidence = min(confidence, model.BY_CHANCE)
        return self._payer_suggestion(invoices, how, confidence, Rule.PAYER_AND_SHORT_PAY, words)

    def _is_crowded(self, payer: Payer) -> bool:
        """Whether the customer has more open invoices than are looked at."""
        return self.index.count_of_customer(payer.customer_id, self.receipt.currency) > MAX_OF_CUSTOMER

    def _may_be_short_by_chance(self, payer: Payer) -> bool:
        dues = [invoice.due_cents for invoice in self.index.by_customer(payer.customer_id, self.receipt.currency)]
        return (
            model.chance_of_short_pay(dues, self.rules.tolerance_cents, self.receipt.amount_cents)
            > model.SHORT_PAY_CHANCE_LIMIT
        )

    def _oldest(self, payer: Payer, invoices: Sequence[OpenInvoice]) -> Suggestion:
        """For a person to confirm: put the money against the oldest invoices."""
        covered, total = [], 0
        for invoice in invoices:
            if total >= self.receipt.amount_cents:
                break
            covered.append(invoice)
            total += invoice.due_cents
        words = [_payer_words(payer, self.receipt), "the amount fits no open invoice; oldest first"]
        fit = Fit.LESS if total >= self.receipt.amount_cents else Fit.MORE
        return self._suggest(covered, fit, model.OLDEST_FIRST * payer.likeness, Rule.PAYER_ONLY, words)

    def _payer_suggestion(
        self, invoices: list[OpenInvoice], how: Fit, confidence: float, rule: Rule, words: list[str]
    ) -> Suggestion:
        confidence, words = self._doubts(invoices, confidence, words)
        if model.is_near_due(self.receipt.payment_date, invoices):
            words = [*words, "paid near the due date"]
        return self._suggest(invoices, how, confidence, rule, words)

    # --- nothing but the amount ---------------------------------------------------------------------------------

    def _by_amount(self) -> Iterator[Suggestion]:
        equal = self.index.by_amount(self.receipt.currency, self.receipt.amount_cents)
        nearest = sorted(equal, key=lambda invoice: abs((invoice.due_date - self.receipt.payment_date).days))
        for invoice in nearest[:MAX_AMOUNT_ONLY]:
            words = [self._amount_words([invoice], Fit.EQUAL), "nothing says who paid"]
            if len(equal) > 1:
                words.append(f"{len(equal)} open invoices have this amount due")
            yield self._suggest([invoice], Fit.EQUAL, model.AMOUNT_ALONE / len(equal), Rule.AMOUNT_ONLY, words)

    # --- common -------------------------------------------------------------------------------------------------

    def _doubts(self, invoices: Sequence[OpenInvoice], confidence: float, words: list[str]) -> tuple[float, list[str]]:
        """What speaks against an explanation that the text does not fully carry."""
        for most, reason in self._contradictions(invoices):
            confidence = min(confidence, most)
            words = [*words, f"but {reason}"]
        return confidence, words

    def _contradictions(self, invoices: Sequence[OpenInvoice]) -> Iterator[tuple[float, str]]:
        ids = {invoice.id for invoice in invoices}
        for mention in self.named:
            if mention.strength < Strength.LIKELY or ids.intersection(mention.invoice_ids):
                continue
            if not self._is_slip(
                mention.digits, {i.customer_id for i in self._invoices(mention.invoice_ids)}, invoices
            ):
                most = model.NAMES_ANOTHER if mention.strength is Strength.EXACT else model.BY_CHANCE
                yield most, f"the text names {mention.written}, another invoice"
        for unknown in self.mentions.unknown:
            if self._is_slip(unknown.digits, {unknown.closed_customer_id}, invoices):
                continue
            most = model.NAMES_ANOTHER if unknown.closed else model.NAMES_UNKNOWN
            yield most, f"the text names {unknown.written}, which is not open"
        if model.is_too_early(self.receipt.payment_date, invoices):
            yield model.TOO_EARLY, "it was paid before the invoice was issued"

    def _is_slip(self, digits: str, named_customers: set[UUID | None], invoices: Sequence[OpenInvoice]) -> bool:
        """Whether a number that is not of these invoices is one of theirs, mistyped.

        A number that the same customer really has is never taken for a slip: it may pay an old invoice twice.
        """
        if len(digits) < MIN_NEAR_DIGITS or named_customers & {invoice.customer_id for invoice in invoices}:
            return False
        return any(invoice.number and is_near(digits, number(invoice.number).digits) for invoice in invoices)

    def _amount_words(self, invoices: Sequence[OpenInvoice], how: Fit) -> str:
        due = sum(invoice.due_cents for invoice in invoices)
        paid, owed = in_words(self.receipt.amount_cents, self.receipt.currency), in_words(due, self.receipt.currency)
        short = in_words(abs(due - self.receipt.amount_cents), self.receipt.currency)
        several = "together " if len(invoices) > 1 else ""
        return {
            Fit.EQUAL: f"{paid} is exactly what {_names(invoices)} {'have' if several else 'has'} {several}due",
            Fit.DISCOUNT: f"{paid} is the {owed} of {_names(invoices)} less the early-payment discount of {short}",
            Fit.SHORT: f"{paid} is {short} short of {_names(invoices)}, within the tolerance",
            Fit.LESS: f"{paid} pays a part of the {owed} due on {_names(invoices)}",
            Fit.MORE: f"{paid} is {short} more than the {owed} due on {_names(invoices)}",
        }[how]

    def _suggest(
        self, invoices: Sequence[OpenInvoice], how: Fit, confidence: float, rule: Rule, words: Sequence[str]
    ) -> Suggestion:
        allocations: tuple[Allocation, ...]
        if how is Fit.DISCOUNT:
            allocations = model.discount_allocations(invoices, self.receipt.payment_date)
        else:
            allocations = model.allocate(self.receipt.amount_cents, invoices, how)
        return Suggestion(allocations=allocations, confidence=round(confidence, 3), rule=rule, evidence=tuple(words))


def _at_most(suggestion: Suggestion, confidence: float) -> Suggestion:
    return msgspec.structs.replace(suggestion, confidence=min(suggestion.confidence, confidence))


def _number_rule(how: Fit, payer: Payer | None, strength: Strength) -> Rule:
    if how is Fit.EQUAL:
        return Rule.NUMBER_AND_AMOUNT
    if how in (Fit.DISCOUNT, Fit.SHORT):
        return Rule.NUMBER_AND_SHORT_PAY
    return Rule.NUMBER_AND_PAYER if payer and strength >= Strength.LIKELY else Rule.NUMBER_ONLY


def _payer_words(payer: Payer, receipt: Receipt) -> str:
    return payer.sign.value.format(payer=receipt.payer_name, customer=payer.customer_name)


def _names(invoices: Sequence[OpenInvoice]) -> str:
    names = [invoice.name for invoice in invoices]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
