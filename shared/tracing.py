"""W3C trace context: one id that follows a request through HTTP, outbox, bus and webhooks."""

import re
import secrets
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The `traceparent` of the work that goes on now; what it calls and announces carries it on."""


def begin(received: str | None) -> str:
    """Continue the trace that a caller sent, or begin one; returns the traceparent of this piece of work."""
    match = _TRACEPARENT.fullmatch(received) if received else None
    trace_id = match.group(1) if match else secrets.token_hex(16)
    traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    current.set(traceparent)
    return traceparent
