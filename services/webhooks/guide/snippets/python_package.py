# pip install standardwebhooks
from standardwebhooks import Webhook


def verify(secret: str, headers: dict[str, str], body: bytes) -> object:
    """The event, if it is from ARPilot and fresh; raises WebhookVerificationError otherwise."""
    return Webhook(secret).verify(body, headers)
