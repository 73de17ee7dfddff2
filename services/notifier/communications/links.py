"""Links in mails that need no token: an id and a signature over it, so that nobody can guess another's. Pure."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

MAC_BYTES = 16


def sign(secret_key: str, purpose: str, tenant_id: UUID, object_id: UUID) -> str:
    """The token of a link for one purpose."""
    payload = tenant_id.bytes + object_id.bytes
    return base64.urlsafe_b64encode(payload + _mac(secret_key, purpose, payload)).decode().rstrip("=")


def read(secret_key: str, purpose: str, token: str) -> tuple[UUID, UUID] | None:
    """Tenant and object of a link that we signed, else None."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    payload, mac = raw[:32], raw[32:]
    if len(payload) != 32 or not hmac.compare_digest(mac, _mac(secret_key, purpose, payload)):
        return None
    return UUID(bytes=payload[:16]), UUID(bytes=payload[16:])


def _mac(secret_key: str, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(secret_key.encode(), purpose.encode() + b"\0" + payload, hashlib.sha256)[:MAC_BYTES]
