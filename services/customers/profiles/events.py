"""What is announced about customers; contacts and tags count as part of the customer."""

from uuid import UUID

from services.customers.profiles.model import Customer, changes
from shared.events import EventType, NewEvent

CUSTOMER_CREATED = EventType("customer.created", Customer, "A customer was made.")
CUSTOMER_UPDATED = EventType("customer.updated", Customer, "A customer, one of its contacts or its tags changed.")
CUSTOMER_DELETED = EventType("customer.deleted", Customer, "A customer was deleted with all that belonged to it.")

EVENTS = (CUSTOMER_CREATED, CUSTOMER_UPDATED, CUSTOMER_DELETED)


def created(tenant_id: UUID, customer: Customer) -> NewEvent:
    """A customer was made."""
    return CUSTOMER_CREATED.new(tenant_id=tenant_id, subject=customer.id, sequence=customer.version, data=customer)


def updated(tenant_id: UUID, before: Customer, after: Customer) -> NewEvent:
    """A customer changed."""
    return CUSTOMER_UPDATED.new(
        tenant_id=tenant_id, subject=after.id, sequence=after.version, data=after, changes=changes(before, after)
    )


def deleted(tenant_id: UUID, customer: Customer) -> NewEvent:
    """A customer was deleted; the data is its last state."""
    return CUSTOMER_DELETED.new(tenant_id=tenant_id, subject=customer.id, sequence=customer.version + 1, data=customer)
