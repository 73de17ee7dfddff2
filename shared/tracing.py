"""W3C trace context: one id that follows a request through HTTP, outbox, bus and webhooks."""

import random
import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The `traceparent` of the work that goes on now; what it calls and announces carries it on."""


def begin(received: str | None) -> str:
    """Continue the trace that a caller sent, or begin one; returns the traceparent of this piece of work."""
    match = _TRACEPARENT.fullmatch(received) if received else None
    # ids only have to differ; the operating system's random numbers cost ten times as much
    trace_id = match.group(1) if match else f"{random.getrandbits(128):032x}"
    traceparent = f"00-{trace_id}-{random.getrandbits(64):016x}-01"
    current.set(traceparent)
    return traceparent
