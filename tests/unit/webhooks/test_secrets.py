"""Secrets at rest."""

import base64
import os

import pytest

from services.webhooks.endpoints.secrets import CannotOpen, Keyring, new_signing_secret, signing_key

OLD, NEW = os.urandom(32), os.urandom(32)


def test_a_secret_is_whsec_and_base64_of_32_bytes() -> None:
    secret = new_signing_secret()

    assert secret.startswith("whsec_")
    assert len(signing_key(secret)) == 32
    assert new_signing_secret() != secret


def test_what_was_sealed_opens_again_and_does_not_show_the_plain_text() -> None:
    ring = Keyring({"k1": OLD})

    sealed = ring.seal(b"whsec_abc", b"endpoint")

    assert b"whsec" not in sealed
    assert ring.open(sealed, b"endpoint") == b"whsec_abc"
    assert sealed != ring.seal(b"whsec_abc", b"endpoint")


def test_a_new_key_in_front_opens_what_the_old_one_sealed_and_reseals_it() -> None:
    sealed = Keyring({"k1": OLD}).seal(b"secret", b"endpoint")
    both = Keyring({"k2": NEW, "k1": OLD})

    assert not both.is_current(sealed)
    resealed = both.reseal(sealed, b"endpoint")

    assert both.is_current(resealed)
    assert Keyring({"k2": NEW}).open(resealed, b"endpoint") == b"secret"


def test_a_sealed_value_does_not_open_in_another_context_or_changed_or_without_its_key() -> None:
    ring = Keyring({"k1": OLD})
    sealed = ring.seal(b"secret", b"endpoint")

    with pytest.raises(CannotOpen):
        ring.open(sealed, b"another endpoint")
    with pytest.raises(CannotOpen):
        ring.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"endpoint")
    with pytest.raises(CannotOpen, match="k1"):
        Keyring({"k2": NEW}).open(sealed, b"endpoint")


def test_the_setting_names_keys_in_order() -> None:
    text = f"k2:{base64.b64encode(NEW).decode()},k1:{base64.b64encode(OLD).decode()}"

    ring = Keyring.parse(text)

    assert ring.current == "k2"
    assert ring.open(Keyring({"k1": OLD}).seal(b"x", b""), b"") == b"x"
