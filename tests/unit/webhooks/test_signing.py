"""Signatures, checked with the public verifier."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.deliveries import signing
from services.webhooks.endpoints.secrets import new_signing_secret, signing_key

BODY = '{"id":"1","type":"invoice.created","data":{"note":"grüezi"}}'.encode()


def signed(*secrets: str, timestamp: int | None = None, body: bytes = BODY) -> dict[str, str]:
    lines = signing.headers("msg_1", timestamp or int(time.time()), body, [signing_key(secret) for secret in secrets])
    return dict(line.split(": ", 1) for line in lines)


def test_the_public_verifier_accepts_what_we_sign() -> None:
    secret = new_signing_secret()

    assert Webhook(secret).verify(BODY, signed(secret))["type"] == "invoice.created"


def test_while_a_rotation_overlaps_both_the_old_and_the_new_secret_verify() -> None:
    new, old = new_signing_secret(), new_signing_secret()
    headers = signed(new, old)

    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (new, old):
        Webhook(secret).verify(BODY, headers)


def test_another_secret_another_body_or_an_old_timestamp_does_not_verify() -> None:
    secret = new_signing_secret()

    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret()).verify(BODY, signed(secret))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", signed(secret))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, signed(secret, timestamp=int(time.time()) - 3600))


def test_the_signature_of_the_specification_s_example_is_ours_too() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    value = signing.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])

    assert value == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
