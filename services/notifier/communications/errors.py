"""What communications can be refused for."""

from shared.errors import Conflict, NotFound


class CommunicationUnknown(NotFound, code="communication_not_found"):
    """There is no communication {communication_id}."""


class CommunicationGone(Conflict, code="communication_not_pending"):
    """This communication is {status}; only a pending one can be cancelled."""


class LinkUnknown(NotFound, code="link_unknown"):
    """This link is not valid, or not any more."""


class CustomerUnknown(NotFound, code="customer_not_found"):
    """There is no customer {customer_id}, or it has no contact."""
