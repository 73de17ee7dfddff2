"""What can be done with a payment itself; putting it on invoices is `matching`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.payments.intake import errors, events, model, store
from services.payments.intake.events import Refund
from services.payments.intake.model import Allocation, Payment, Source, State
from services.payments.intake.store import Taking
from shared import outbox
from shared.db import Conn
from shared.events import NewEvent
from shared.http.bodies import Body
from shared.http.calls import encode
from shared.http.idempotency import Attempt
from shared.ids import uuid7
from shared.money import PositiveMoney, major

Short = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Long = Annotated[str, Meta(max_length=5000)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217; by default the tenant's")]


class PaymentCreate(Body, frozen=True, kw_only=True):
    """A payment as it is reported to us."""

    amount: PositiveMoney
    payment_date: date
    payment_method: Short | None = None
    payer_name: Text | None = None
    payer_reference: Text | None = None
    external_payment_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    currency: Currency | None = None
    notes: Long | None = None


class PaymentFields(Body, frozen=True, kw_only=True):
    """The fields that may be edited."""

    payer_name: Text | UnsetType | None = UNSET
    payer_reference: Text | UnsetType | None = UNSET
    payment_method: Short | UnsetType | None = UNSET
    notes: Long | UnsetType | None = UNSET
    reviewed: bool | UnsetType = UNSET


class Maker(NamedTuple):
    """Who reports payments, how, and when."""

    tenant_id: UUID
    currency: str
    actor: str
    source: Source
    now: datetime


class Prepared(NamedTuple):
    """Payments about to be taken in, in the order of their reports; by external id those that count; their events."""

    payments: Sequence[Payment]
    firsts: Mapping[str, Payment]
    created: Sequence[outbox.Row]


class Made(NamedTuple):
    """What became of one reported payment: its id, or the payment that had its external id before."""

    id: UUID
    duplicate: bool


def taking(maker: Maker, body: PaymentCreate, attempt: Attempt | None) -> Taking:
    """A payment with its event and the answer to the request; shown once, for both."""
    payment = new_payment(maker, body)
    shown = msgspec.Raw(encode(events.payment(payment, ())))
    event = NewEvent(type=events.PAYMENT_CREATED, tenant_id=maker.tenant_id, subject=payment.id, sequence=1, data=shown)
    return Taking(tenant_id=maker.tenant_id, payment=payment, shown=shown, event=event, attempt=attempt)


async def create(conn: Conn, maker: Maker, body: PaymentCreate, *, deposit_account_id: UUID | None = None) -> Payment:
    """Take in one payment and announce it."""
    payment = new_payment(maker, body, deposit_account_id=deposit_account_id)
    if not await store.insert(conn, maker.tenant_id, [payment], [_created(maker, payment)]):
        external_id = payment.external_payment_id
        taken = await store.by_external_id(conn, maker.tenant_id, [external_id])
        raise errors.ExternalIdTaken(
            external_payment_id=external_id, payment_id=taken[external_id], field="external_payment_id"
        )
    return payment


def prepare(maker: Maker, bodies: Sequence[PaymentCreate]) -> Prepared:
    """What many reports come to, before the database is asked: of two with the same external id the first counts."""
    payments = [new_payment(maker, body) for body in bodies]
    firsts: dict[str, Payment] = {}
    for payment in payments:
        firsts.setdefault(payment.external_payment_id, payment)
    return Prepared(payments, firsts, [_created(maker, payment) for payment in firsts.values()])


async def create_many(conn: Conn, tenant_id: UUID, prepared: Prepared) -> list[Made]:
    """Take in many payments and announce them in one statement; an answer for each in order."""
    payments, firsts, created = prepared
    new = await store.insert(conn, tenant_id, list(firsts.values()), created) if firsts else set()
    old = [external_id for external_id, payment in firsts.items() if payment.id not in new]
    holders = {external_id: payment.id for external_id, payment in firsts.items()}
    holders |= await store.by_external_id(conn, tenant_id, old) if old else {}
    return [_made(payment, holders[payment.external_payment_id], new) for payment in payments]


def _made(payment: Payment, holder: UUID, new: set[UUID]) -> Made:
    return Made(holder, duplicate=payment.id not in new)


def new_payment(maker: Maker, body: PaymentCreate, *, deposit_account_id: UUID | None = None) -> Payment:
    """The payment that a report describes."""
    payment_id = uuid7()
    return Payment(
        id=payment_id,
        version=1,
        amount_cents=int(body.amount),
        applied_cents=0,
        reserved_cents=0,
        reversing=False,
        refunded_cents=0,
        currency=body.currency or maker.currency,
        payment_date=body.payment_date,
        payment_method=body.payment_method,
        payer_name=body.payer_name,
        payer_reference=body.payer_reference,
        external_payment_id=body.external_payment_id or f"pay_{payment_id}",
        notes=body.notes,
        customer_id=None,
        deposit_account_id=deposit_account_id,
        reviewed=False,
        source=maker.source,
        created_by=maker.actor,
        created_at=maker.now,
        updated_at=maker.now,
    )


def _created(maker: Maker, payment: Payment) -> outbox.Row:
    created = events.announce(events.PAYMENT_CREATED, maker.tenant_id, events.payment(payment, ()))
    return outbox.row(created, at=maker.now)


async def get(conn: Conn, tenant_id: UUID, payment_id: UUID) -> Payment:
    """A payment with its allocations; raises PaymentUnknown."""
    found = await store.find(conn, tenant_id, [payment_id])
    if not found:
        raise errors.PaymentUnknown(payment_id=payment_id)
    return found[0]


async def lock(conn: Conn, tenant_id: UUID, payment_id: UUID) -> Payment:
    """The same, locked until the transaction ends."""
    found = await store.lock(conn, tenant_id, [payment_id])
    if not found:
        raise errors.PaymentUnknown(payment_id=payment_id)
    return found[0]


async def shown(conn: Conn, tenant_id: UUID, payment: Payment) -> events.Payment:
    """A payment as the API shows it, with its refunds."""
    refunds = await store.refunds(conn, tenant_id, payment.id) if payment.refunded_cents else ()
    return events.payment(payment, refunds)


async def edit(conn: Conn, tenant_id: UUID, payment: Payment, fields: PaymentFields, *, now: datetime) -> Payment:
    """Change the fields that the caller named."""
    given = {name: value for name in PaymentFields.__struct_fields__ if (value := getattr(fields, name)) is not UNSET}
    edited = msgspec.structs.replace(payment, **given)
    if edited == payment:
        return payment
    edited = msgspec.structs.replace(edited, version=payment.version + 1, updated_at=now)
    await store.update_fields(conn, tenant_id, edited)
    return edited


async def refund(
    conn: Conn,
    tenant_id: UUID,
    payment_id: UUID,
    *,
    amount_cents: int | None,
    when: date,
    reason: str | None,
    actor: str,
    now: datetime,
) -> events.Payment:
    """Pay unapplied money back; all of it unless an amount is given."""
    payment = await lock(conn, tenant_id, payment_id)
    cents = model.refundable(payment, amount_cents)
    made = Refund(id=uuid7(), amount=major(cents), date=when, reason=reason, created_at=now)
    await store.insert_refund(conn, tenant_id, payment_id, made, cents, actor)
    data = await shown(conn, tenant_id, await get(conn, tenant_id, payment_id))
    fact = msgspec.structs.replace(data, refund=made)
    await outbox.put(conn, events.announce(events.PAYMENT_REFUNDED, tenant_id, fact))
    return data


async def intend(conn: Conn, tenant_id: UUID, allocations: Sequence[Allocation]) -> None:
    """Write down what the invoices service will be asked for, before it is asked."""
    if allocations:
        await store.insert_allocations(conn, tenant_id, allocations)


async def take_back(conn: Conn, tenant_id: UUID, allocations: Sequence[Allocation], *, now: datetime) -> None:
    """Write down that these are to be taken off their invoices, before the invoices service is asked."""
    reversing = [msgspec.structs.replace(a, state=State.REVERSING, updated_at=now) for a in allocations]
    await store.update_allocations(conn, tenant_id, reversing)


async def settle(conn: Conn, tenant_id: UUID, answered: Sequence[Allocation]) -> None:
    """Record answers of the invoices service under the locks of their payments, and announce what became of them.

    An answer that comes twice, or too late (the allocation has left the state that it answers), changes nothing.
    """
    payment_ids = sorted({allocation.payment_id for allocation in answered})
    standing = {a.id: a for payment in await store.lock(conn, tenant_id, payment_ids) for a in payment.allocations}
    fresh = [a for a in answered if a.id in standing and _answers(standing[a.id].state, a.state)]
    await store.update_allocations(conn, tenant_id, fresh)
    applied = {a.payment_id for a in fresh if a.state is State.APPLIED}
    reversed_ = [a for a in fresh if a.state is State.REVERSED and standing[a.id].applied_cents]
    await _announce(conn, tenant_id, applied, reversed_)


def _answers(before: State, after: State) -> bool:
    if after is State.REVERSED:
        return before in (State.REVERSING, State.APPLIED, State.PENDING)
    return before is State.PENDING


async def _announce(conn: Conn, tenant_id: UUID, applied: set[UUID], reversed_: Sequence[Allocation]) -> None:
    off: dict[UUID, list[Allocation]] = {}
    for allocation in reversed_:
        off.setdefault(allocation.payment_id, []).append(allocation)
    facts = []
    for payment in await store.find(conn, tenant_id, sorted(applied | off.keys())):
        data = await shown(conn, tenant_id, payment)
        if payment.id in off:
            gone = [events.allocation(allocation) for allocation in off[payment.id]]
            fact = msgspec.structs.replace(data, unmatched=gone)
            facts.append(events.announce(events.PAYMENT_UNMATCHED, tenant_id, fact))
        if payment.id in applied:
            facts.append(events.announce(events.PAYMENT_MATCHED, tenant_id, data))
    await outbox.put(conn, *facts)
