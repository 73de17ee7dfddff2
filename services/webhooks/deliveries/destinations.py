"""What a dispatcher needs to know of an endpoint to post to it: opened secrets and ready header lines, cached."""

from collections.abc import Collection
from datetime import datetime

import msgspec
import structlog

from services.webhooks.deliveries import signing
from services.webhooks.deliveries.model import NoAnswer
from services.webhooks.endpoints import actions, store
from services.webhooks.endpoints.model import Endpoint
from services.webhooks.endpoints.secrets import CannotOpen, Keyring
from services.webhooks.endpoints.store import Key
from shared.db import Conn
from shared.http.documents import version

CACHED = 10_000

log = structlog.get_logger("dispatcher")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, ready to be posted to."""

    version: int
    url: str
    timeout_seconds: int
    lines: list[str]
    key: bytes
    old_key: bytes | None
    old_key_until: datetime | None

    def headers(self, event_id: str, body: bytes, now: datetime) -> list[str]:
        """All header lines of one attempt."""
        keys = [self.key]
        if self.old_key is not None and self.old_key_until is not None and now < self.old_key_until:
            keys.append(self.old_key)
        return self.lines + signing.headers(event_id, int(now.timestamp()), body, keys)


class Destinations:
    """The destinations of endpoints, read anew when a claim says that there is a newer version."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[Key, Destination] = {}
        self._closed: dict[Key, NoAnswer] = {}

    def stale(self, versions: Collection[tuple[Key, int]]) -> set[Key]:
        """Endpoints that are not known in this version."""
        return {key for key, at in versions if key not in self._known or self._known[key].version < at}

    async def read(self, conn: Conn, keys: Collection[Key]) -> None:
        """Get to know endpoints."""
        if len(self._known) + len(keys) > CACHED:
            self._known.clear()
        for endpoint in await store.by_keys(conn, list(keys)):
            self._open(endpoint)

    def _open(self, endpoint: Endpoint) -> None:
        """A secret that does not open fails the attempts to this endpoint, and of no other."""
        key = endpoint.tenant_id, endpoint.id
        self._known.pop(key, None)
        self._closed.pop(key, None)
        try:
            self._known[key] = destination(endpoint, self._keyring)
        except CannotOpen as error:
            log.error("a secret does not open", endpoint=str(endpoint.id), reason=str(error))
            self._closed[key] = NoAnswer(f"its secret does not open: {error}", 0)

    def get(self, key: Key) -> Destination | NoAnswer | None:
        """A destination, or why it cannot be posted to; None when the endpoint was deleted meanwhile."""
        return self._known.get(key) or self._closed.get(key)


def destination(endpoint: Endpoint, keyring: Keyring) -> Destination:
    """An endpoint with its secrets opened."""
    key, old_key = actions.signing_keys(endpoint, keyring)
    custom = [f"{name}: {value}" for name, value in actions.open_headers(endpoint, keyring).items()]
    return Destination(
        version=endpoint.version,
        url=endpoint.url,
        timeout_seconds=endpoint.timeout_seconds,
        lines=[*custom, "content-type: application/json", f"user-agent: {USER_AGENT}", "expect:"],
        key=key,
        old_key=old_key,
        old_key_until=endpoint.previous_secret_until,
    )


USER_AGENT = f"ARPilot-Webhooks/{version()}"
