"""Events in: what is asked for, and what changes under what waits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from services.notifier.communications import actions, store
from services.notifier.communications.events import Kind
from services.notifier.communications.model import SILENCING, NewCommunication, day, money
from services.notifier.recipients import store as recipients
from services.notifier.recipients.model import (
    AllocationData,
    CustomerData,
    EndpointData,
    InvoiceData,
    PaymentData,
    Person,
    PlanData,
)
from services.notifier.settings import store as settings_store
from shared import clock
from shared.db import Conn
from shared.events import Event
from shared.inbox import Subscription


class RecipientData(msgspec.Struct, frozen=True, kw_only=True):
    """Who is billed, as the invoice says."""

    display_name: str
    email: str | None


class RequestedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice of a request: only whom it is for."""

    customer: RecipientData


class RequestData(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that somebody asked the invoices service for."""

    id: UUID
    kind: Kind
    invoice_id: UUID
    customer_id: UUID
    template_id: UUID | None
    scheduled_for: datetime
    cc_self: bool
    requested_by: str | None
    invoice: RequestedInvoice


async def store_request(conn: Conn, event: Event) -> None:
    """Keep the mail; the sender takes it up when its time has come."""
    request = event.decode(RequestData)
    recipient = request.invoice.customer
    new = NewCommunication(
        id=request.id,
        kind=request.kind,
        template_id=request.template_id,
        customer_id=request.customer_id,
        invoice_ids=(request.invoice_id,),
        to_name=recipient.display_name,
        to_email=recipient.email or "",
        cc_self=request.cc_self,
        scheduled_for=request.scheduled_for,
        requested_by=request.requested_by,
    )
    await actions.store_requested(conn, event.tenant_id, new, now=clock.now())


async def remember_customer(conn: Conn, event: Event) -> None:
    """Keep the copy, and readdress what waits."""
    customer = event.decode(CustomerData)
    if await recipients.save_customer(conn, event.tenant_id, customer, event.sequence):
        await actions.follow_customer(conn, event.tenant_id, customer, now=clock.now())


async def remember_invoices(conn: Conn, events: Sequence[Event]) -> None:
    """Keep the copies, before anything else in the batch looks at them."""
    told = [recipients.Told(event.tenant_id, event.sequence, event.decode(InvoiceData)) for event in events]
    await recipients.save_invoices(conn, told, now=clock.now())


async def follow_invoice(conn: Conn, event: Event) -> None:
    """Cancel what must not be said any more."""
    invoice = event.decode(InvoiceData)
    if invoice.status in SILENCING and await recipients.is_newest(conn, event.tenant_id, invoice.id, event.sequence):
        await actions.follow_invoice(conn, event.tenant_id, invoice, at=event.time, now=clock.now())


async def remember_plan(conn: Conn, event: Event) -> None:
    """Keep the instalments that customers are told of."""
    await recipients.save_plan(conn, event.tenant_id, event.decode(PlanData))


async def forget_plan(conn: Conn, event: Event) -> None:
    """A plan is over."""
    await recipients.remove_plan(conn, event.tenant_id, event.subject)


async def thank(conn: Conn, event: Event) -> None:
    """Send a receipt for each invoice that a payment is on, once, where the tenant wants that."""
    settings = await settings_store.find(conn, event.tenant_id)
    if not settings.send_receipts:
        return
    payment = event.decode(PaymentData)
    for allocation in payment.allocations:
        await _thank_for(conn, event.tenant_id, payment, allocation)


async def _thank_for(conn: Conn, tenant_id: UUID, payment: PaymentData, allocation: AllocationData) -> None:
    customer_id = await recipients.customer_of(conn, tenant_id, allocation.invoice_id)
    people: Sequence[Person] = await recipients.people(conn, tenant_id, customer_id) if customer_id else []
    if not people:
        return
    now = clock.now()
    new = NewCommunication(
        id=uuid5(allocation.id, "receipt"),
        kind="receipt",
        customer_id=customer_id,
        invoice_ids=(allocation.invoice_id,),
        to_name=people[0].name,
        to_email=people[0].email,
        scheduled_for=now,
        facts={
            "payment_amount": money(allocation.amount, payment.currency),
            "payment_date": day(payment.payment_date),
            "payment_method": (payment.payment_method or "").replace("_", " "),
        },
    )
    await actions.store_requested(conn, tenant_id, new, now=now)


async def warn_of_endpoint(conn: Conn, event: Event) -> None:
    """Tell the tenant that one of its webhook endpoints was disabled."""
    endpoint = event.decode(EndpointData)
    tenant = await recipients.tenant(conn, event.tenant_id)
    settings = await settings_store.find(conn, event.tenant_id)
    address = tenant.email or settings.reply_to
    if address is None:
        return
    new = NewCommunication(
        id=uuid5(event.id, "notice"),
        kind="notice",
        to_name=tenant.name,
        to_email=address,
        scheduled_for=event.time,
        facts={
            "subject": "A webhook endpoint was disabled",
            "text": f"Your webhook endpoint {endpoint.url} {_why(endpoint)}, so it was disabled.\n\n"
            "Nothing is lost: mend it, switch it on again and replay what it missed.\n",
        },
    )
    await store.insert(conn, event.tenant_id, new, now=clock.now())


def _why(endpoint: EndpointData) -> str:
    gone = endpoint.disabled_reason == "gone"
    return "answered that it is gone (410)" if gone else "has not accepted a delivery for five days"


INVOICES = (
    "invoice.created",
    "invoice.updated",
    "invoice.archived",
    "invoice.restored",
    "invoice.voided",
    "invoice.paid",
    "invoice.overdue",
)

SUBSCRIPTIONS = (
    Subscription(INVOICES, remember_invoices, batch=True),
    Subscription("communication.requested", store_request),
    Subscription(("customer.created", "customer.updated"), remember_customer),
    Subscription(INVOICES, follow_invoice),
    Subscription("payment_plan.enrolled", remember_plan),
    Subscription(("payment_plan.completed", "payment_plan.defaulted"), forget_plan),
    Subscription("payment.matched", thank),
    Subscription("webhook.endpoint_disabled", warn_of_endpoint),
)
