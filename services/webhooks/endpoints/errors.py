"""What can be refused about endpoints."""

from shared.errors import Conflict, Invalid, NotFound


class WebhookNotFound(NotFound, code="webhook_not_found"):
    """There is no webhook {webhook_id}."""


class UrlRefused(Invalid, code="webhook_url_refused"):
    """This URL cannot be a webhook: {reason}."""


class WebhookDisabled(Conflict, code="webhook_disabled"):
    """This webhook is not active; set `is_active` to true first."""


class TooManyWebhooks(Conflict, code="too_many_webhooks"):
    """A tenant has at most {limit} webhooks."""
