"""W3C trace context: one id that follows a request through HTTP, outbox, bus and webhooks.

Carrying it on costs next to nothing and is always done. Pieces of work are recorded only where somebody collects them
(shared/telemetry.py).
"""

import random
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Literal, NamedTuple

Kind = Literal["server", "client", "consumer", "producer", "internal"]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The `traceparent` of the work that goes on now; what it calls and announces carries it on."""


class Span(NamedTuple):
    """A piece of work that is over."""

    name: str
    kind: Kind
    service: str
    traceparent: str
    parent: str | None
    """The `traceparent` of the work that this one belongs to."""
    ended_at: float
    """Seconds since 1970."""
    seconds: float
    failed: bool
    attributes: Mapping[str, str | int]


recorder: Callable[[Span], None] | None = None
"""Where pieces of work go; None: nobody collects them."""


def begin(received: str | None) -> str:
    """Continue the trace that a caller sent, or begin one; returns the traceparent of this piece of work."""
    traceparent = child(received)
    current.set(traceparent)
    return traceparent


def child(parent: str | None) -> str:
    """The traceparent of a piece of work within another one; of a new trace where there is none."""
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    # ids only have to differ; the operating system's random numbers cost ten times as much
    trace_id = match.group(1) if match else f"{random.getrandbits(128):032x}"
    return f"00-{trace_id}-{random.getrandbits(64):016x}-01"


def record(
    name: str,
    kind: Kind,
    service: str,
    *,
    traceparent: str | None,
    parent: str | None,
    seconds: float,
    failed: bool = False,
    attributes: Mapping[str, str | int] | None = None,
) -> None:
    """Note a piece of work that ends now, where somebody collects them."""
    if recorder is None or traceparent is None:
        return
    known = parent if parent and _TRACEPARENT.fullmatch(parent) else None
    recorder(Span(name, kind, service, traceparent, known, time.time(), seconds, failed, attributes or {}))
