"""What is secret about an endpoint, encrypted at rest: AES-256-GCM, each key with an id, so that keys can be replaced.

A sealed value is: length of the key id (1 byte), key id, nonce (12 bytes), ciphertext with its tag. The context (the
endpoint's id) is authenticated with it, so that a sealed value moved to another row does not open.
"""

import base64
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES = 32
NONCE_BYTES = 12
PREFIX = "whsec_"


class CannotOpen(Exception):
    """A sealed value does not open: its key is not configured, or it was tampered with."""


def new_signing_secret() -> str:
    """A fresh secret as its owner sees it, once: `whsec_` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii")


def signing_key(secret: str) -> bytes:
    """The key bytes of a `whsec_…` secret."""
    return base64.b64decode(secret.removeprefix(PREFIX))


class Keyring:
    """The configured keys: the first one seals, all of them open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        assert keys, "no encryption key"
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read the setting `id:base64 of 32 bytes`, comma-separated."""
        pairs = (entry.split(":", 1) for entry in text.split(","))
        return cls({key_id: base64.b64decode(key) for key_id, key in pairs})

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt under the current key."""
        nonce = os.urandom(NONCE_BYTES)
        key_id = self.current.encode("ascii")
        return bytes([len(key_id)]) + key_id + nonce + self._ciphers[self.current].encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt with whichever key it was sealed."""
        key_id, nonce, ciphertext = _parts(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen(f"sealed with key {key_id!r}, which is not configured")
        try:
            return cipher.decrypt(nonce, ciphertext, context)
        except InvalidTag:
            raise CannotOpen("it was changed, or belongs to something else") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now."""
        return _parts(sealed)[0] == self.current

    def reseal(self, sealed: bytes, context: bytes) -> bytes:
        """The same under the current key."""
        return self.seal(self.open(sealed, context), context)


def _parts(sealed: bytes) -> tuple[str, bytes, bytes]:
    end = 1 + sealed[0]
    return sealed[1:end].decode("ascii"), sealed[end : end + NONCE_BYTES], sealed[end + NONCE_BYTES :]
