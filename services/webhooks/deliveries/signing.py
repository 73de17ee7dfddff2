"""The signature of a delivery, by Standard Webhooks (standardwebhooks.com), so that public verifiers accept it."""

import base64
import hmac
from collections.abc import Sequence


def signature(message_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[bytes]) -> str:
    """The value of `webhook-signature`: a `v1,…` for each key (two while a rotation overlaps)."""
    assert keys, "nothing to sign with"
    signed = b"%s.%d.%s" % (message_id.encode("ascii"), timestamp_seconds, body)
    return " ".join(_v1(key, signed) for key in keys)


def _v1(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def headers(message_id: str, timestamp_seconds: int, body: bytes, keys: Sequence[bytes]) -> list[str]:
    """The three headers of the scheme, as lines."""
    return [
        f"webhook-id: {message_id}",
        f"webhook-timestamp: {timestamp_seconds}",
        f"webhook-signature: {signature(message_id, timestamp_seconds, body, keys)}",
    ]
