"""W3C trace context: read from what runs now, and continued where an event is handled."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("arpilot")


def current_traceparent() -> str | None:
    """The `traceparent` of the running span, where there is one."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


@contextmanager
def continued(traceparent: str | None, name: str) -> Iterator[None]:
    """Run the block as part of the trace that an event came with."""
    if traceparent is None:
        yield
        return
    parent = _propagator.extract({"traceparent": traceparent}, context.get_current())
    with _tracer.start_as_current_span(name, parent):
        yield
