"""What can be done with communications, inside the caller's transaction."""

from datetime import date, datetime
from uuid import UUID

from services.notifier.communications import store
from services.notifier.communications.errors import CommunicationGone, CommunicationUnknown, CustomerUnknown
from services.notifier.communications.events import Communication
from services.notifier.communications.hours import BusinessHours, next_opening
from services.notifier.communications.model import REMINDERS, SILENCING, NewCommunication
from services.notifier.recipients import store as recipients
from services.notifier.recipients.model import CustomerData, InvoiceData, Person
from services.notifier.settings import store as settings_store
from services.notifier.settings.model import NotificationSettings
from services.notifier.templates import store as templates
from services.notifier.templates.errors import TemplateUnknown
from shared.db import Conn
from shared.ids import uuid7


async def get(conn: Conn, tenant_id: UUID, communication_id: UUID) -> Communication:
    """One, with its words; raises CommunicationUnknown."""
    communication = await store.find(conn, tenant_id, communication_id)
    if communication is None:
        raise CommunicationUnknown(communication_id=communication_id)
    return communication


async def cancel(conn: Conn, tenant_id: UUID, communication_id: UUID, *, now: datetime) -> Communication:
    """Cancel one that waits; one that is cancelled already stays so."""
    if not await store.cancel(conn, tenant_id, communication_id, "requested", now=now):
        found = await get(conn, tenant_id, communication_id)
        if found.status != "cancelled":
            raise CommunicationGone(status=found.status)
    return await get(conn, tenant_id, communication_id)


async def store_requested(conn: Conn, tenant_id: UUID, new: NewCommunication, *, now: datetime) -> None:
    """Keep a mail that somebody asked for, addressed to the customer's primary contact."""
    person = await primary(
        conn, tenant_id, new.customer_id, fallback=Person(contact_id=None, name=new.to_name, email=new.to_email)
    )
    at = await _when(conn, tenant_id, new, now=now)
    addressed = _addressed(new, person, at)
    await store.insert(conn, tenant_id, addressed, now=now)


async def ask_for_statement(
    conn: Conn,
    tenant_id: UUID,
    customer_id: UUID,
    *,
    period: tuple[date, date],
    template_id: UUID | None,
    scheduled_for: datetime,
    cc_self: bool,
    requested_by: str,
    now: datetime,
) -> Communication:
    """Keep a mail with a statement of account."""
    people = await recipients.people(conn, tenant_id, customer_id)
    if not people:
        raise CustomerUnknown(customer_id=customer_id, field="customer_id")
    if template_id is not None and await templates.find(conn, tenant_id, template_id) is None:
        raise TemplateUnknown(template_id=template_id, field="template_id")
    new = NewCommunication(
        id=uuid7(),
        kind="statement",
        template_id=template_id,
        customer_id=customer_id,
        to_name=people[0].name,
        to_email=people[0].email,
        cc_self=cc_self,
        scheduled_for=scheduled_for,
        facts={"start": str(period[0]), "end": str(period[1])},
        requested_by=requested_by,
    )
    await store_requested(conn, tenant_id, new, now=now)
    return await get(conn, tenant_id, new.id)


async def primary(conn: Conn, tenant_id: UUID, customer_id: UUID | None, *, fallback: Person) -> Person:
    """The contact to write to; the address on the invoice where the customer's event has not arrived yet."""
    known = await recipients.people(conn, tenant_id, customer_id) if customer_id else []
    return known[0] if known else fallback


async def _when(conn: Conn, tenant_id: UUID, new: NewCommunication, *, now: datetime) -> datetime:
    """A caller's own time is kept to the minute, unless the tenant wants business hours for all that is scheduled."""
    settings = await settings_store.find(conn, tenant_id)
    if new.scheduled_for <= now or not settings.hold_for_business_hours:
        return new.scheduled_for
    return next_opening(
        hours(settings), new.scheduled_for, await recipients.timezone_of(conn, tenant_id, new.customer_id)
    )


def hours(settings: NotificationSettings) -> BusinessHours:
    """The business hours of the settings."""
    return BusinessHours(start=settings.business_start, end=settings.business_end, days=settings.business_days)


def _addressed(new: NewCommunication, person: Person, at: datetime) -> NewCommunication:
    fields = {name: getattr(new, name) for name in new.__struct_fields__}
    return NewCommunication(
        **{
            **fields,
            "contact_id": person.contact_id,
            "to_name": person.name,
            "to_email": person.email,
            "to_phone": person.phone,
            "scheduled_for": at,
        }
    )


async def follow_customer(conn: Conn, tenant_id: UUID, customer: CustomerData, *, now: datetime) -> None:
    """Whatever waits for a contact goes to where the contact is now."""
    people = await recipients.people(conn, tenant_id, customer.id)
    for person in people:
        await store.readdress(conn, tenant_id, customer.id, person, now=now)
    if people:
        await store.reassign(conn, tenant_id, customer.id, people[0], now=now)


async def follow_invoice(conn: Conn, tenant_id: UUID, invoice: InvoiceData, *, at: datetime, now: datetime) -> None:
    """Cancel what waits about an invoice that is paid, voided, disputed or in a plan."""
    reason = SILENCING[invoice.status]
    kinds = REMINDERS if invoice.status != "cancelled" else REMINDERS | {"send", "email", "plan_instalment"}
    if invoice.status != "in_payment_plan":
        kinds |= {"plan_instalment"}
    await store.cancel_about(conn, tenant_id, invoice.id, reason, kinds=sorted(kinds), before=at, now=now)


async def unsubscribe(conn: Conn, tenant_id: UUID, communication_id: UUID, *, now: datetime) -> str | None:
    """Stop reminders to whom a communication was addressed; returns the address."""
    email = await store.address_of(conn, tenant_id, communication_id)
    if email is not None:
        await recipients.unsubscribe(conn, tenant_id, email, now=now)
        await store.cancel_reminders_to(conn, tenant_id, email, now=now, kinds=sorted(REMINDERS))
    return email


async def resubscribe(conn: Conn, tenant_id: UUID, communication_id: UUID) -> str | None:
    """Take an unsubscription back; returns the address."""
    email = await store.address_of(conn, tenant_id, communication_id)
    if email is not None:
        await recipients.resubscribe(conn, tenant_id, email)
    return email
