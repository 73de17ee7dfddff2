"""Putting payments on invoices over HTTP: by hand, by suggestion, or all that is certain at once."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.payments.intake import actions as payments
from services.payments.intake import events
from services.payments.intake.actions import PaymentCreate, PaymentFields, Short
from services.payments.intake.api import maker
from services.payments.intake.errors import PaymentUnknown
from services.payments.intake.model import Allocation, Payment, State
from services.payments.matching import actions, errors, store
from services.payments.matching.actions import Wanted
from services.payments.matching.books import Books
from services.payments.matching.jobs import carry_out
from services.payments.matching.model import Suggestion
from services.payments.matching.owner import current, has_account, news_of
from services.payments.matching.store import KnownInvoice, Settings
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.routes import Route
from shared.money import Money, PositiveMoney, major

AUTO_MATCH_BATCH = 200
AUTO_MATCH_SECONDS = 20.0
MAX_ALLOCATIONS = 500
FIRST_ID = UUID(int=0)
Day = date  # a field named `date` hides the type


class PaymentPatch(PaymentFields, frozen=True, kw_only=True):
    """Fields to change; `invoice_id` puts what is left of the payment on that invoice, `null` takes all off again."""

    invoice_id: UUID | UnsetType | None = UNSET


class WantedAllocation(Body, frozen=True, kw_only=True):
    invoice_id: UUID
    amount: PositiveMoney


class AllocationsPut(Body, frozen=True, kw_only=True):
    """How the payment is to be split; what is not named stays unapplied."""

    allocations: Annotated[list[WantedAllocation], Meta(max_length=MAX_ALLOCATIONS)]


class RecordedPayment(Body, frozen=True, kw_only=True):
    """A payment for one invoice, as somebody tells it."""

    amount: Annotated[PositiveMoney, Meta(description="by default what is due")] | None = None
    date: Annotated[Day, Meta(description="by default today")] | None = None
    payment_method: Short | None = None
    deposit_account_id: Annotated[UUID, Meta(description="ledger account; by default 1000 Bank")] | None = None


class SuggestedAllocation(msgspec.Struct, frozen=True, kw_only=True):
    invoice_id: UUID
    amount: Decimal
    write_off_amount: Decimal


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another explanation, in short."""

    invoice_ids: Sequence[UUID]
    confidence: float
    rule: str


class SuggestedMatch(msgspec.Struct, frozen=True, kw_only=True):
    """One way to explain the payment."""

    allocations: Sequence[SuggestedAllocation]
    confidence: float
    rule: str
    evidence: Sequence[str]
    alternatives: Sequence[Alternative]


class AutoMatched(msgspec.Struct, frozen=True, kw_only=True):
    """What came of cash application over everything unmatched; `remaining` goes on in the background."""

    examined: int
    applied: int
    suggested: int
    unmatched: int
    remaining: int


class MatchingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit trail."""

    id: UUID
    action: str
    invoice_ids: Sequence[UUID]
    actor: str
    rule: str | None
    confidence: float | None
    evidence: Sequence[str]
    created_at: datetime


class MatchingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How cash application works for the tenant."""

    auto_match: bool
    threshold: Annotated[float, Meta(description="confidence from which a match is applied without asking")]
    tolerance: Annotated[Decimal, Meta(description="what a payment may lack and still settle an invoice")]


class MatchingSettingsPatch(Body, frozen=True, kw_only=True):
    auto_match: bool | UnsetType = UNSET
    threshold: Annotated[float, Meta(gt=0.5, le=1)] | UnsetType = UNSET
    tolerance: Money | UnsetType = UNSET


async def patch_payment(call: Call[PaymentPatch, None]) -> web.StreamResponse:
    """Edit a payment, match it or unmatch it.

    A payment larger than what is due leaves the rest unapplied. With the invoices service away the answer says
    `match_status: pending`, and the match completes by itself later.
    """
    tenant_id, payment_id, wanted = call.caller.tenant_id, call.id("payment_id"), call.body.invoice_id
    news = await news_of(call.runtime, tenant_id, {wanted: 1} if isinstance(wanted, UUID) else {})
    async with call.transaction() as conn:
        await actions.remember_invoices(conn, tenant_id, news, now=call.now)
        tick = await store.next_tick(conn, tenant_id)
        payment = await payments.lock(conn, tenant_id, payment_id)
        call.check_if_match(payment.version)
        payment = await payments.edit(conn, tenant_id, payment, call.body, now=call.now)
        if call.body.reviewed is True:
            await actions.confirm(conn, tenant_id, payment, tick)
        if isinstance(wanted, UUID):
            await actions.match(conn, tenant_id, payment, wanted, tick, actor=call.caller.actor, now=call.now)
        elif wanted is None:
            await actions.unmatch(conn, tenant_id, payment, actor=call.caller.actor, now=call.now)
        answer = await _shown(call, conn, payment_id)
    if wanted is not UNSET:
        _raise_refused(call, await carry_out(call.runtime, tenant_id, [payment_id]))
        answer = await _reread(call, payment_id)
    return answer


async def put_allocations(call: Call[AllocationsPut, None]) -> web.StreamResponse:
    """Split a payment over invoices, replacing what was there; the rest stays unapplied."""
    tenant_id, payment_id = call.caller.tenant_id, call.id("payment_id")
    wanted = [Wanted(one.invoice_id, int(one.amount)) for one in call.body.allocations]
    news = await news_of(call.runtime, tenant_id, dict(wanted))
    async with call.transaction() as conn:
        await actions.remember_invoices(conn, tenant_id, news, now=call.now)
        tick = await store.next_tick(conn, tenant_id)
        payment = await payments.lock(conn, tenant_id, payment_id)
        call.check_if_match(payment.version)
        await actions.allocate(conn, tenant_id, payment, wanted, tick, actor=call.caller.actor, now=call.now)
        await _shown(call, conn, payment_id)
    _raise_refused(call, await carry_out(call.runtime, tenant_id, [payment_id]))
    return await _reread(call, payment_id)


async def record_payment(call: Call[RecordedPayment, None]) -> web.StreamResponse:
    """Record a payment for an invoice: makes a real payment and puts it on the invoice.

    What exceeds the amount due stays unapplied.
    """
    tenant_id, invoice_id, account_id = call.caller.tenant_id, call.id("invoice_id"), call.body.deposit_account_id
    invoice = await current(call.runtime, tenant_id, invoice_id)
    if account_id is not None and not await has_account(call.runtime, tenant_id, account_id):
        raise errors.DepositAccountUnknown(account_id=account_id, field="deposit_account_id")
    async with call.transaction() as conn:
        await actions.remember_invoices(conn, tenant_id, [invoice] if invoice else [], now=call.now)
        tick = await store.next_tick(conn, tenant_id)
        body = _recorded(call, invoice_id, invoice)
        by = maker(call, "recorded")
        payment = await payments.create(conn, by, body, deposit_account_id=account_id)
        await actions.match(conn, tenant_id, payment, invoice_id, tick, actor=call.caller.actor, now=call.now)
        answer = await _shown(call, conn, payment.id, status=201)
    if await carry_out(call.runtime, tenant_id, [payment.id]):
        answer = await _reread(call, payment.id, status=201)
    return answer


def _recorded(call: Call[RecordedPayment, None], invoice_id: UUID, invoice: KnownInvoice | None) -> PaymentCreate:
    """The payment that was told of; raises where the invoice takes none."""
    if invoice is None or invoice.status == "deleted":
        raise errors.InvoiceUnknown(invoice_id=invoice_id)
    if invoice.free_cents == 0 and invoice.is_payable:
        raise errors.NothingDue(invoice=invoice.name)
    return PaymentCreate(
        amount=PositiveMoney(call.body.amount or max(1, invoice.free_cents)),
        payment_date=call.body.date or call.today(),
        payment_method=call.body.payment_method,
        currency=invoice.currency,
        payer_reference=invoice.number,
    )


async def _shown(call: Call[Any, Any], conn: Any, payment_id: UUID, *, status: int = 200) -> web.Response:
    payment = await payments.get(conn, call.caller.tenant_id, payment_id)
    data = await payments.shown(conn, call.caller.tenant_id, payment)
    return call.reply(data, version=data.version, status=status)


async def _reread(call: Call[Any, Any], payment_id: UUID, *, status: int = 200) -> web.Response:
    """The payment after the invoices service has answered; kept for a retry of the same request."""
    async with call.transaction() as conn:
        return await _shown(call, conn, payment_id, status=status)


def _raise_refused(call: Call[Any, Any], answered: Sequence[Allocation]) -> None:
    """What a person asked for and the invoices service refused is the answer to that person.

    Not so what the payment had outstanding before, say from cash application: nobody asked for it here.
    """
    for allocation in answered:
        if allocation.state is not State.REFUSED or allocation.created_at != call.now:
            continue
        name, due = allocation.invoice_number or allocation.invoice_id, allocation.invoice_due_cents
        if allocation.refusal_code == errors.AllocationExceedsDue.code:
            raise errors.AllocationExceedsDue(due=major(due or 0), invoice=name, field="allocations")
        if allocation.refusal_code == errors.InvoiceUnknown.code:
            raise errors.InvoiceUnknown(invoice_id=allocation.invoice_id, field="invoice_id")
        raise errors.MatchRefused(reason=allocation.refusal_detail or allocation.refusal_code)


async def list_suggestions(call: Call[None, None]) -> web.StreamResponse:
    """Explain what is left of a payment by the open invoices, the surest explanation first."""
    tenant_id = call.caller.tenant_id
    async with call.connection() as conn:
        payment = await payments.get(conn, tenant_id, call.id("payment_id"))
        found = await actions.suggest(conn, tenant_id, payment, call.runtime.use(Books))
    return call.reply([_suggested(suggestion, found) for suggestion in found])


def _suggested(suggestion: Suggestion, found: Sequence[Suggestion]) -> SuggestedMatch:
    return SuggestedMatch(
        allocations=[
            SuggestedAllocation(
                invoice_id=a.invoice_id, amount=major(a.amount_cents), write_off_amount=major(a.write_off_cents)
            )
            for a in suggestion.allocations
        ],
        confidence=suggestion.confidence,
        rule=suggestion.rule,
        evidence=suggestion.evidence,
        alternatives=[
            Alternative(invoice_ids=sorted(other.invoice_ids), confidence=other.confidence, rule=other.rule)
            for other in found
            if other is not suggestion
        ],
    )


async def auto_match(call: Call[None, None]) -> web.StreamResponse:
    """Run cash application over everything unmatched, also where the tenant's automatic one is off.

    Works for at most about twenty seconds; what is then left goes on in the background where `auto_match` is on.
    """
    until = monotonic() + AUTO_MATCH_SECONDS
    total = AutoMatched(examined=0, applied=0, suggested=0, unmatched=0, remaining=0)
    after: UUID | None = FIRST_ID
    while after is not None:
        total, after = await _auto_match_batch(call, total, after, is_late=monotonic() > until)
    return call.reply(total)


async def _auto_match_batch(
    call: Call[Any, Any], total: AutoMatched, after: UUID, *, is_late: bool
) -> tuple[AutoMatched, UUID | None]:
    tenant_id = call.caller.tenant_id
    async with call.transaction() as conn:
        await store.next_tick(conn, tenant_id)
        ids = [] if is_late else await store.waiting_after(conn, tenant_id, after, AUTO_MATCH_BATCH)
        found = await actions.examine(conn, tenant_id, ids, call.runtime.use(Books), forced=True, now=call.now)
        total = AutoMatched(
            examined=total.examined + found.examined,
            applied=total.applied + len(found.applied),
            suggested=total.suggested + found.suggested,
            unmatched=total.unmatched + found.unmatched,
            remaining=await store.count_waiting(conn, tenant_id, after) if is_late else 0,
        )
        call.reply(total)
    await carry_out(call.runtime, tenant_id, found.applied)
    return total, ids[-1] if ids else None


async def get_trail(call: Call[None, None]) -> web.StreamResponse:
    """Read how a payment came to be where it is: every decision, why, and who took it."""
    tenant_id = call.caller.tenant_id
    async with call.connection() as conn:
        payment: Payment = await payments.get(conn, tenant_id, call.id("payment_id"))
        decisions = await store.trail(conn, tenant_id, payment.id)
    return call.reply([_shown_decision(decision) for decision in decisions])


def _shown_decision(decision: store.Decision) -> MatchingDecision:
    return MatchingDecision(**{name: getattr(decision, name) for name in MatchingDecision.__struct_fields__})


async def get_settings(call: Call[None, None]) -> web.StreamResponse:
    """Read the settings of cash application."""
    async with call.connection() as conn:
        return call.reply(_shown_settings(await store.settings(conn, call.caller.tenant_id)))


async def patch_settings(call: Call[MatchingSettingsPatch, None]) -> web.StreamResponse:
    """Change the settings of cash application."""
    body = call.body
    async with call.transaction() as conn:
        before = await store.settings(conn, call.caller.tenant_id)
        after = Settings(
            auto_match=before.auto_match if body.auto_match is UNSET else body.auto_match,
            threshold=before.threshold if body.threshold is UNSET else body.threshold,
            tolerance_cents=before.tolerance_cents if body.tolerance is UNSET else int(body.tolerance),
        )
        await store.put_settings(conn, call.caller.tenant_id, after)
        return call.reply(_shown_settings(after))


def _shown_settings(settings: Settings) -> MatchingSettings:
    return MatchingSettings(
        auto_match=settings.auto_match, threshold=settings.threshold, tolerance=major(settings.tolerance_cents)
    )


MATCHING_ERRORS = (
    errors.InvoiceUnknown,
    errors.InvoiceNotPayable,
    errors.CurrencyDiffers,
    errors.NothingDue,
    errors.MatchRefused,
)

ROUTES = (
    *(
        Route(
            method,
            "/v1/payments/{payment_id}",
            patch_payment,
            scope="payments:write",
            body=PaymentPatch,
            returns=events.Payment,
            refuses=(PaymentUnknown, errors.NothingLeft, *MATCHING_ERRORS),
        )
        for method in ("PATCH", "PUT")
    ),
    Route(
        "PUT",
        "/v1/payments/{payment_id}/allocations",
        put_allocations,
        scope="payments:write",
        body=AllocationsPut,
        returns=events.Payment,
        refuses=(
            PaymentUnknown,
            errors.AllocationsExceedPayment,
            errors.AllocationExceedsDue,
            errors.InvoiceNamedTwice,
            *MATCHING_ERRORS,
        ),
    ),
    Route(
        "GET",
        "/v1/payments/{payment_id}/suggestions",
        list_suggestions,
        scope="payments:read",
        returns=list[SuggestedMatch],
        refuses=(PaymentUnknown,),
    ),
    Route(
        "GET",
        "/v1/payments/{payment_id}/trail",
        get_trail,
        scope="payments:read",
        returns=list[MatchingDecision],
        refuses=(PaymentUnknown,),
    ),
    Route("POST", "/v1/payments/auto-match", auto_match, scope="payments:write", returns=AutoMatched),
    Route(
        "POST",
        "/v1/invoices/{invoice_id}/record-payment",
        record_payment,
        scope="invoices:write",
        body=RecordedPayment,
        body_optional=True,
        returns=events.Payment,
        status=201,
        refuses=MATCHING_ERRORS,
    ),
    Route("GET", "/v1/settings/matching", get_settings, scope="payments:read", returns=MatchingSettings),
    *(
        Route(
            method,
            "/v1/settings/matching",
            patch_settings,
            scope="payments:write",
            body=MatchingSettingsPatch,
            returns=MatchingSettings,
        )
        for method in ("PATCH", "PUT")
    ),
)
