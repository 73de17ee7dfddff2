"""Signed tokens (JWT, RFC 7519, HS256): access tokens of OAuth clients, internal tokens between services, links.

Each purpose signs with a key of its own, derived from the one secret (HKDF, RFC 5869), so that a token made for one
purpose is worth nothing for another.
"""

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ISSUER = "arpilot"
ACCESS = "access"
ACCESS_SECONDS = 3600
INTERNAL_SECONDS = 60


@functools.lru_cache(maxsize=64)
def derive(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())


@functools.lru_cache(maxsize=64)
def _key(secret: str, purpose: str) -> OctKey:
    return OctKey.import_key(derive(secret, purpose))


def sign(secret: str, purpose: str, claims: Mapping[str, object], *, now: datetime, seconds: float) -> str:
    """A token for one purpose that is good for so many seconds."""
    times = {"iat": int(now.timestamp()), "exp": int((now + timedelta(seconds=seconds)).timestamp())}
    payload = {**claims, "iss": ISSUER, "aud": purpose, **times}
    return jwt.encode({"alg": "HS256"}, payload, _key(secret, purpose))


def verify(secret: str, purpose: str, token: str, *, now: datetime) -> dict[str, Any] | None:
    """The claims of a token made for this purpose, or None when it is forged, expired or for another purpose."""
    try:
        claims = jwt.decode(token, _key(secret, purpose), algorithms=["HS256"]).claims
    except (JoseError, ValueError):
        return None
    expires = claims.get("exp")
    fresh = isinstance(expires, int) and expires > now.timestamp()
    return claims if fresh and claims.get("aud") == purpose and claims.get("iss") == ISSUER else None
