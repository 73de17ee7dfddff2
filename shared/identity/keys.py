"""API keys and client secrets: 256 random bits, shown once, stored as their SHA-256."""

import hashlib
import secrets

KEY_BYTES = 32


def new_key(*, live: bool) -> str:
    """A new API key, `ark_live_…` or `ark_test_…`."""
    return f"ark_{'live' if live else 'test'}_{secrets.token_urlsafe(KEY_BYTES)}"


def new_secret() -> str:
    """A new OAuth client secret."""
    return f"ars_{secrets.token_urlsafe(KEY_BYTES)}"


def hashed(token: str) -> bytes:
    """What is stored of a key or secret."""
    return hashlib.sha256(token.encode()).digest()


def hint(token: str) -> str:
    """The few characters by which people recognise a key in a list."""
    return f"{token[:13]}…{token[-4:]}"
