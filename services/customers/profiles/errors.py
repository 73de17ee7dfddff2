"""What can be refused about customers and contacts."""

from shared.errors import Conflict, Invalid, NotFound


class CustomerUnknown(NotFound, code="customer_not_found"):
    """There is no customer {id}."""


class ContactUnknown(NotFound, code="contact_not_found"):
    """There is no contact {id}."""


class CustomerIdTaken(Conflict, code="customer_id_taken"):
    """Another customer has the customer_id {customer_id}."""


class LastContact(Conflict, code="last_contact"):
    """A customer keeps at least one contact; add another one before you delete this."""


class SeveralPrimaryContacts(Invalid, code="several_primary_contacts"):
    """Only one contact can be primary."""


class HasOpenBalance(Conflict, code="customer_has_open_balance"):
    """{open_invoices} invoices of this customer are open, {amount_due} is due.

    Settle or void them first, or delete with `?force=true`, which unapplies what was paid on them and voids them.
    """
