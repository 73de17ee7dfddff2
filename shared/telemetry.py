"""Sends pieces of work to an OpenTelemetry collector. Imported only where one is configured: the SDK takes 20 MB."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared import tracing
from shared.tracing import Span

KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "internal": SpanKind.INTERNAL,
}


@asynccontextmanager
async def exporting(endpoint: str) -> AsyncIterator[None]:
    """Collect until the block ends; then send what is left. A collector that is away costs spans and nothing else."""
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    processor = BatchSpanProcessor(exporter)
    before, tracing.recorder = tracing.recorder, lambda span: processor.on_end(_readable(span))
    try:
        yield
    finally:
        tracing.recorder = before
        await asyncio.to_thread(processor.shutdown)


def _readable(span: Span) -> ReadableSpan:
    ended_ns = int(span.ended_at * 1e9)
    return ReadableSpan(
        span.name,
        context=_context(span.traceparent, is_remote=False),
        parent=_context(span.parent, is_remote=True) if span.parent else None,
        resource=_resource(span.service),
        attributes=dict(span.attributes),
        kind=KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=ended_ns - int(span.seconds * 1e9),
        end_time=ended_ns,
    )


def _context(traceparent: str, *, is_remote: bool) -> SpanContext:
    _, trace_id, span_id, _ = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))


@cache
def _resource(service: str) -> Resource:
    """One per service, also where several run in one process. `OTEL_RESOURCE_ATTRIBUTES` adds to it."""
    return Resource.create({"service.name": f"arpilot-{service}"})
