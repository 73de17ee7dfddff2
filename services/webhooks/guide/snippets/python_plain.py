import base64
import hmac
import json
import time


def verify(secret: str, headers: dict[str, str], body: bytes) -> object:
    """The event, if it is from ARPilot and not older than five minutes; raises ValueError otherwise."""
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > 300:
        raise ValueError("the timestamp is too far off")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    expected = "v1," + base64.b64encode(digest).decode()
    # while a secret is being rotated there are two signatures, separated by a space
    if not any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split()):
        raise ValueError("no signature matches")
    return json.loads(body)
