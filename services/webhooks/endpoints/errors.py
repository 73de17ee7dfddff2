"""What can be refused about endpoints."""

from shared.errors import Conflict, Invalid, NotFound


class WebhookNotFound(NotFound, code="webhook_not_found"):
    """There is no webhook {webhook_id}."""


class UrlRefused(Invalid, code="webhook_url_refused"):
    """This URL cannot be a webhook: {reason}."""


class UnknownEventType(Invalid, code="unknown_event_type"):
    """There is no event type {event_type}; write a type such as `invoice.created`, a pattern `invoice.*`, or `*`."""


class HeaderRefused(Invalid, code="webhook_header_refused"):
    """The header {name} cannot be set: {reason}."""


class WebhookDisabled(Conflict, code="webhook_disabled"):
    """This webhook is not active; set `is_active` to true first."""
