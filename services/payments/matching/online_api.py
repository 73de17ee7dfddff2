"""What the invoices service asks for when a customer has paid on the hosted page: a payment, on its invoice."""

from datetime import date
from typing import Any
from uuid import UUID

from aiohttp import web

from services.payments.intake import actions as payments
from services.payments.intake import events
from services.payments.intake import store as intake_store
from services.payments.intake.actions import Currency, Maker, PaymentCreate, Short, Text
from services.payments.matching import actions, store
from services.payments.matching.jobs import carry_out
from services.payments.matching.owner import news_of
from shared.db import Conn
from shared.errors import Conflict, NotFound
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.routes import Route
from shared.money import PositiveMoney

ACTOR = "hosted_page"


class OnlinePayment(Body, frozen=True, kw_only=True):
    """Money that a payment provider took for an invoice."""

    tenant_id: UUID
    invoice_id: UUID
    amount: PositiveMoney
    currency: Currency
    payment_date: date
    payment_method: Short | None = None
    payer_name: Text | None = None
    payer_reference: Text | None = None
    external_payment_id: Text


async def take_online(call: Call[OnlinePayment, None]) -> web.StreamResponse:
    """Make a payment and put it on its invoice: what fits; the rest, or all where nothing fits, stays unapplied.

    The same external id again gives the same payment, so that no crash makes two of one.
    """
    body = call.body
    news = await news_of(call.runtime, body.tenant_id, {body.invoice_id: 1})
    async with call.transaction() as conn:
        await actions.remember_invoices(conn, body.tenant_id, news, now=call.now)
        taken = await intake_store.by_external_id(conn, body.tenant_id, [body.external_payment_id])
        payment_id = taken.get(body.external_payment_id) or await _make(conn, call)
    await carry_out(call.runtime, body.tenant_id, [payment_id])
    async with call.connection() as conn:
        payment = await payments.get(conn, body.tenant_id, payment_id)
        return call.reply(await payments.shown(conn, body.tenant_id, payment))


async def _make(conn: Conn, call: Call[OnlinePayment, Any]) -> UUID:
    body = call.body
    tick = await store.next_tick(conn, body.tenant_id)
    by = Maker(body.tenant_id, body.currency, ACTOR, "recorded", call.now)
    payment = await payments.create(conn, by, _payment(body))
    try:
        async with conn.transaction():
            await actions.match(conn, body.tenant_id, payment, body.invoice_id, tick, actor=ACTOR, now=call.now)
    except (Conflict, NotFound):
        return payment.id  # the money has come all the same, and waits for a person
    return payment.id


def _payment(body: OnlinePayment) -> PaymentCreate:
    return PaymentCreate(
        amount=body.amount,
        payment_date=body.payment_date,
        payment_method=body.payment_method,
        payer_name=body.payer_name,
        payer_reference=body.payer_reference,
        external_payment_id=body.external_payment_id,
        currency=body.currency,
    )


ROUTES = (Route("POST", "/internal/payments", take_online, internal=True, body=OnlinePayment, returns=events.Payment),)
