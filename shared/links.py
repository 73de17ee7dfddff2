"""Links that need no token: what they mean, perhaps until when, and a signature over it.

Nobody can guess another's link or lengthen its life. A link is for one purpose: a token for reading a document opens no
other door.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from uuid import UUID

MAC_BYTES = 16
EXPIRY_BYTES = 5


def sign(secret_key: str, purpose: str, tenant_id: UUID, object_id: UUID, *, expires_at: datetime | None = None) -> str:
    """The token of a link."""
    payload = tenant_id.bytes + object_id.bytes
    if expires_at is not None:
        payload += int(expires_at.timestamp()).to_bytes(EXPIRY_BYTES, "big")
    return _written(payload + _mac(secret_key, purpose, payload))


def read(secret_key: str, purpose: str, token: str, *, now: datetime) -> tuple[UUID, UUID] | None:
    """Tenant and object of a link that we signed and that has not expired, else None."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    if _written(raw) != token:  # the decoder overlooks strange characters and spare bits
        return None
    payload, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    if len(payload) not in (32, 32 + EXPIRY_BYTES) or not hmac.compare_digest(mac, _mac(secret_key, purpose, payload)):
        return None
    if len(payload) > 32 and datetime.fromtimestamp(int.from_bytes(payload[32:], "big"), UTC) <= now:
        return None
    return UUID(bytes=payload[:16]), UUID(bytes=payload[16:32])


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(secret_key: str, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(secret_key.encode(), purpose.encode() + b"\0" + payload, hashlib.sha256)[:MAC_BYTES]
