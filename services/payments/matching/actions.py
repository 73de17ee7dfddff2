"""What cash application can do, inside its caller's transaction, under the tenant's clock where it changes the copy.

The order of locks is the same everywhere: the tenant's clock, then payments by id, then known invoices.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from services.payments.intake import actions as payments
from services.payments.intake import store as intake_store
from services.payments.intake.model import Allocation, Payment, State
from services.payments.matching import command, errors, names, search, store
from services.payments.matching.books import Books
from services.payments.matching.index import OpenInvoices
from services.payments.matching.model import Receipt, Rule, Suggestion
from services.payments.matching.references import Text
from services.payments.matching.store import KnownInvoice, Waiting
from shared.db import Conn
from shared.ids import uuid7
from shared.money import major

CASH_APPLICATION = "cash_application"
PROVEN_BY_NUMBER = (Rule.NUMBER_AND_AMOUNT, Rule.NUMBER_AND_SHORT_PAY)


class Wanted(NamedTuple):
    """So much for an invoice, as a caller asks for it."""

    invoice_id: UUID
    amount_cents: int


class Examined(NamedTuple):
    """What came of looking at some payments."""

    examined: int
    applied: list[UUID]
    suggested: int
    unmatched: int


# --- what comes in ---------------------------------------------------------------------------------------------------


async def remember_invoices(conn: Conn, tenant_id: UUID, invoices: Sequence[KnownInvoice], *, now: datetime) -> None:
    """Keep the newest of each invoice, and look again at the payments that they may explain."""
    await remember_all(conn, {tenant_id: invoices}, now=now)


async def remember_all(conn: Conn, told: Mapping[UUID, Sequence[KnownInvoice]], *, now: datetime) -> None:
    """The same for several tenants at once."""
    newest = {tenant_id: _newest(invoices) for tenant_id, invoices in told.items() if invoices}
    if not newest:
        return
    await store.put_invoices(conn, newest, await store.next_ticks(conn, newest))
    for tenant_id in await store.that_wait(conn, newest):
        await _look_again(conn, tenant_id, newest[tenant_id], now)


def _newest(invoices: Sequence[KnownInvoice]) -> list[KnownInvoice]:
    return list({invoice.id: invoice for invoice in sorted(invoices, key=lambda invoice: invoice.sequence)}.values())


async def _look_again(conn: Conn, tenant_id: UUID, invoices: Sequence[KnownInvoice], now: datetime) -> None:
    payable = [invoice for invoice in invoices if invoice.is_payable and invoice.due_cents > 0]
    if payable:
        payers = {names.key(invoice.customer_name) for invoice in payable}
        payers |= await store.aliases_of(conn, tenant_id, {invoice.customer_id for invoice in payable})
        await store.requeue(conn, tenant_id, payable, sorted(payers), now)


async def wait(conn: Conn, tenant_id: UUID, arrived: Sequence[Payment], *, queued_at: datetime | None) -> None:
    """Let payments with money left wait for their invoice, examined next where a time is given."""
    await store.put_waiting(conn, tenant_id, [_waiting(payment) for payment in arrived], queued_at)


def _waiting(payment: Payment) -> Waiting:
    return Waiting(
        payment_id=payment.id,
        amount_cents=payment.unapplied_cents,
        payer_key=names.key(payment.payer_name) if payment.payer_name else None,
        text_keys=sorted(Text(payment.text).keys()),
    )


async def forget_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """A customer is gone: its payments lose the link, and nothing is matched to it any more."""
    tick = await store.next_tick(conn, tenant_id)
    await intake_store.forget_customer(conn, tenant_id, customer_id)
    await store.forget_customer(conn, tenant_id, customer_id, tick)


async def drop_unapplied(
    conn: Conn, tenant_id: UUID, invoice_id: UUID, standing: frozenset[UUID], *, now: datetime
) -> None:
    """The invoices service voided an invoice and took all money off it: what it does not list is not applied."""
    tick = await store.next_tick(conn, tenant_id)
    ours = await intake_store.on_invoice(conn, tenant_id, invoice_id)
    gone = [a for a in ours if a.state is State.APPLIED and a.id not in standing]
    if gone:
        reversed_ = [msgspec.structs.replace(a, state=State.REVERSED, updated_at=now) for a in gone]
        await payments.settle(conn, tenant_id, reversed_)
        await store.claim(conn, tenant_id, [invoice_id], tick)


# --- cash application ------------------------------------------------------------------------------------------------


async def examine(
    conn: Conn, tenant_id: UUID, payment_ids: Sequence[UUID], books: Books, *, forced: bool, now: datetime
) -> Examined:
    """Look for the invoices that these payments mean, and write intents for what is certain.

    `forced` applies also where the tenant's automatic matching is off: somebody asked for it.
    """
    tick = await store.next_tick(conn, tenant_id)
    settings = await store.settings(conn, tenant_id)
    locked = await intake_store.lock(conn, tenant_id, payment_ids)
    waiting = [payment for payment in locked if _is_whole(payment)]
    undone = await store.undone(conn, tenant_id, [payment.id for payment in waiting])
    closed = await _closed_numbers(conn, tenant_id, waiting)
    chosen: list[Allocation] = []
    suggested = 0
    async with books.opened(conn, tenant_id) as index:
        for payment in waiting:
            found = search.find(receipt(payment, undone), index, settings.rules, closed)
            if found.certain and (forced or settings.auto_match):
                chosen += _claim(index, payment, found.certain, now)
            else:
                suggested += bool(found.suggestions)
            await asyncio.sleep(0)  # others may work in between: a batch takes tens of milliseconds
    await _intend(conn, tenant_id, chosen, tick)
    applied = sorted({allocation.payment_id for allocation in chosen})
    spent = [payment.id for payment in locked if payment.free_cents <= 0]
    await store.stop_waiting(conn, tenant_id, [*applied, *spent])
    return Examined(len(waiting), applied, suggested, len(waiting) - len(applied) - suggested)


def _is_whole(payment: Payment) -> bool:
    """Cash application explains whole payments; the rest of one that a person has split is that person's."""
    return payment.free_cents > 0 and not payment.standing


def receipt(payment: Payment, undone: Mapping[UUID, frozenset[UUID]]) -> Receipt:
    """The payment as matching sees it."""
    return Receipt(
        id=payment.id,
        amount_cents=payment.free_cents,
        currency=payment.currency,
        payment_date=payment.payment_date,
        payer_name=payment.payer_name,
        text=payment.text,
        refused_invoice_ids=undone.get(payment.id, frozenset()),
    )


async def _closed_numbers(conn: Conn, tenant_id: UUID, waiting: Sequence[Payment]) -> dict[str, UUID]:
    keys = {key for payment in waiting for key in Text(payment.text).keys()}  # noqa: SIM118
    return await store.closed_numbers(conn, tenant_id, sorted(keys)) if keys else {}


def _claim(index: OpenInvoices, payment: Payment, certain: Suggestion, now: datetime) -> list[Allocation]:
    """Turn a certain suggestion into intents, and let the next payment see that these invoices are spoken for."""
    allocations = []
    for part in certain.allocations:
        invoice = index.get(part.invoice_id)
        assert invoice is not None, "a suggestion comes from the index"
        index.pay(part.invoice_id, part.amount_cents + part.write_off_cents)
        allocations.append(
            Allocation(
                id=uuid7(),
                payment_id=payment.id,
                invoice_id=part.invoice_id,
                invoice_number=invoice.number,
                customer_id=invoice.customer_id,
                amount_cents=part.amount_cents,
                write_off_cents=part.write_off_cents,
                exact=True,
                state=State.PENDING,
                matched_by=CASH_APPLICATION,
                rule=certain.rule,
                confidence=certain.confidence,
                evidence=certain.evidence,
                created_at=now,
                updated_at=now,
            )
        )
    return allocations


async def _intend(conn: Conn, tenant_id: UUID, allocations: Sequence[Allocation], tick: int) -> None:
    await payments.intend(conn, tenant_id, allocations)
    if allocations:
        await store.claim(conn, tenant_id, [allocation.invoice_id for allocation in allocations], tick)


async def suggest(conn: Conn, tenant_id: UUID, payment: Payment, books: Books) -> tuple[Suggestion, ...]:
    """Every explanation of what is left of a payment, the surest first."""
    if payment.free_cents <= 0:
        return ()
    settings = await store.settings(conn, tenant_id)
    undone = await store.undone(conn, tenant_id, [payment.id])
    closed = await _closed_numbers(conn, tenant_id, [payment])
    async with books.opened(conn, tenant_id) as index:
        return search.find(receipt(payment, undone), index, settings.rules, closed).suggestions


# --- by hand ---------------------------------------------------------------------------------------------------------


async def match(
    conn: Conn, tenant_id: UUID, payment: Payment, invoice_id: UUID, tick: int, *, actor: str, now: datetime
) -> None:
    """Put what is left of a payment on an invoice: as much as is due."""
    if payment.free_cents <= 0:
        if any(a.invoice_id == invoice_id and a.state is not State.REVERSING for a in payment.standing):
            return
        raise errors.NothingLeft
    invoice = await _payable(conn, tenant_id, payment, invoice_id, "invoice_id")
    allocation = _by_hand(payment, invoice, payment.free_cents, exact=False, actor=actor, now=now)
    await _intend(conn, tenant_id, [allocation], tick)


async def _payable(conn: Conn, tenant_id: UUID, payment: Payment, invoice_id: UUID, field: str) -> KnownInvoice:
    """An invoice that can take money of this payment; raises what speaks against it."""
    invoice = (await store.known(conn, tenant_id, [invoice_id])).get(invoice_id)
    if invoice is None or invoice.status == "deleted":
        raise errors.InvoiceUnknown(invoice_id=invoice_id, field=field)
    if not invoice.is_payable:
        raise errors.InvoiceNotPayable(invoice=invoice.name, status=invoice.status, field=field)
    if invoice.currency != payment.currency:
        raise errors.CurrencyDiffers(
            invoice=invoice.name, invoice_currency=invoice.currency, payment_currency=payment.currency, field=field
        )
    if invoice.due_cents == 0 and not _on(payment, invoice_id):
        raise errors.NothingDue(invoice=invoice.name, field=field)
    return invoice


def _on(payment: Payment, invoice_id: UUID) -> int:
    """What of the payment is on an invoice already, in cents."""
    return sum(a.held_cents for a in payment.standing if a.invoice_id == invoice_id)


def _by_hand(
    payment: Payment, invoice: KnownInvoice, amount_cents: int, *, exact: bool, actor: str, now: datetime
) -> Allocation:
    return Allocation(
        id=uuid7(),
        payment_id=payment.id,
        invoice_id=invoice.id,
        invoice_number=invoice.number,
        customer_id=invoice.customer_id,
        amount_cents=amount_cents,
        exact=exact,
        state=State.PENDING,
        matched_by=actor,
        rule="by_hand",
        confidence=1.0,
        evidence=("matched by hand",),
        created_at=now,
        updated_at=now,
    )


async def unmatch(conn: Conn, tenant_id: UUID, payment: Payment, *, actor: str, now: datetime) -> None:
    """Take all of a payment off its invoices, and learn from it."""
    standing = [a for a in payment.standing if a.state is not State.REVERSING]
    await _take_back(conn, tenant_id, payment, standing, actor=actor, now=now)


async def _take_back(
    conn: Conn, tenant_id: UUID, payment: Payment, allocations: Sequence[Allocation], *, actor: str, now: datetime
) -> None:
    if not allocations:
        return
    await payments.take_back(conn, tenant_id, allocations, now=now)
    invoice_ids = [allocation.invoice_id for allocation in allocations]
    await store.note(conn, tenant_id, [store.decision(payment.id, "undone", invoice_ids, actor=actor, now=now)])


async def allocate(
    conn: Conn, tenant_id: UUID, payment: Payment, wanted: Sequence[Wanted], tick: int, *, actor: str, now: datetime
) -> None:
    """Replace a payment's allocations; those that are wanted as they are stay untouched."""
    _check_sum(payment, wanted)
    keep = _kept(payment, wanted)
    new = []
    for place, (invoice_id, cents) in enumerate(wanted):
        if invoice_id in keep:
            continue
        invoice = await _payable(conn, tenant_id, payment, invoice_id, f"allocations[{place}].invoice_id")
        room = invoice.free_cents + _on(payment, invoice_id)
        if cents > room:
            field = f"allocations[{place}].amount"
            raise errors.AllocationExceedsDue(due=major(room), invoice=invoice.name, field=field)
        new.append(_by_hand(payment, invoice, cents, exact=True, actor=actor, now=now))
    gone = [a for a in payment.standing if a.invoice_id not in keep and a.state is not State.REVERSING]
    named = {invoice_id for invoice_id, _ in wanted}
    dropped = [a for a in gone if a.invoice_id not in named]
    await _take_back(conn, tenant_id, payment, dropped, actor=actor, now=now)
    await payments.take_back(conn, tenant_id, [a for a in gone if a.invoice_id in named], now=now)
    await _intend(conn, tenant_id, new, tick)


def _check_sum(payment: Payment, wanted: Sequence[Wanted]) -> None:
    if len({invoice_id for invoice_id, _ in wanted}) < len(wanted):
        raise errors.InvoiceNamedTwice(field="allocations")
    allocated, available = sum(cents for _, cents in wanted), payment.amount_cents - payment.refunded_cents
    if allocated > available:
        raise errors.AllocationsExceedPayment(
            allocated=major(allocated), available=major(available), field="allocations"
        )


def _kept(payment: Payment, wanted: Sequence[Wanted]) -> frozenset[UUID]:
    """The invoices on which exactly the wanted amount is already, by one applied allocation."""
    return frozenset(
        invoice_id
        for invoice_id, cents in wanted
        if [(a.state, a.applied_cents) for a in payment.standing if a.invoice_id == invoice_id]
        == [(State.APPLIED, cents)]
    )


async def confirm(conn: Conn, tenant_id: UUID, payment: Payment, tick: int) -> None:
    """A person has reviewed the payment: who paid for whom is as good as said by hand."""
    applied = [a for a in payment.standing if a.state is State.APPLIED and a.matched_by == CASH_APPLICATION]
    await _learn(conn, tenant_id, [(payment, allocation, True) for allocation in applied], tick)


# --- what the invoices service answered ------------------------------------------------------------------------------


async def record(
    conn: Conn, tenant_id: UUID, asked: Sequence[Allocation], results: Sequence[command.Result], *, now: datetime
) -> list[Allocation]:
    """Write down the answers: the allocations, what is due, the trail, and what is learned from it."""
    by_id = {result.allocation_id: result for result in results}
    answered = [
        msgspec.structs.replace(command.outcome(allocation, by_id[allocation.id]), updated_at=now)
        for allocation in asked
        if allocation.id in by_id
    ]
    tick = await store.next_tick(conn, tenant_id)
    await payments.settle(conn, tenant_id, answered)
    await store.claim(conn, tenant_id, [allocation.invoice_id for allocation in answered], tick)
    await _conclude(conn, tenant_id, answered, tick, now)
    return answered


async def _conclude(conn: Conn, tenant_id: UUID, answered: Sequence[Allocation], tick: int, now: datetime) -> None:
    """What follows from the answers for the trail, the aliases and the payments that have money left."""
    found = await intake_store.find(conn, tenant_id, sorted({allocation.payment_id for allocation in answered}))
    of = {payment.id: payment for payment in found}
    noted = [a for a in answered if a.state in (State.APPLIED, State.REFUSED)]
    await store.note(conn, tenant_id, [_decision(allocation, now) for allocation in noted])
    lessons = [
        (of[a.payment_id], a, a.state is State.APPLIED)
        for a in answered
        if (a.state is State.APPLIED and _is_proof(a)) or (a.state is State.REVERSED and a.applied_cents)
    ]
    await _learn(conn, tenant_id, lessons, tick)
    refused = {a.payment_id for a in answered if a.state is State.REFUSED and a.matched_by == CASH_APPLICATION}
    again = [payment for payment in found if payment.id in refused and payment.free_cents > 0]
    left = [payment for payment in found if payment.id not in refused and payment.free_cents > 0]
    await wait(conn, tenant_id, again, queued_at=now)
    await wait(conn, tenant_id, left, queued_at=None)


def _is_proof(allocation: Allocation) -> bool:
    """Whether the match says something about the payer's name that did not come from the name itself."""
    return allocation.matched_by != CASH_APPLICATION or allocation.rule in PROVEN_BY_NUMBER


def _decision(allocation: Allocation, now: datetime) -> store.Decision:
    refused = allocation.state is State.REFUSED
    return store.decision(
        allocation.payment_id,
        "refused" if refused else "applied",
        [allocation.invoice_id],
        actor=allocation.matched_by,
        now=now,
        rule=allocation.rule,
        confidence=allocation.confidence,
        evidence=(allocation.refusal_detail or "refused",) if refused else allocation.evidence,
    )


async def _learn(conn: Conn, tenant_id: UUID, lessons: Sequence[tuple[Payment, Allocation, bool]], tick: int) -> None:
    """Teach the payers' other names; a name that is the customer's own is no news while it is right."""
    named = [(payment.payer_name, allocation, right) for payment, allocation, right in lessons if payment.payer_name]
    known = await store.known(conn, tenant_id, [allocation.invoice_id for _, allocation, _ in named])
    taught = []
    for payer, allocation, right in named:
        invoice = known.get(allocation.invoice_id)
        if invoice is None or invoice.status == "deleted":
            continue
        alias = names.key(payer)
        if not right or alias != names.key(invoice.customer_name):
            taught.append((alias, invoice.customer_id, right))
    await store.teach(conn, tenant_id, taught, tick)
