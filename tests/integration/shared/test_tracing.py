"""One request's trace, as an OpenTelemetry collector receives it and as a webhook's receiver sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import harness
from tests.harness import Client, wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Span(NamedTuple):
    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    seconds: float
    attributes: dict[str, Any]


class Collector:
    """Takes spans over OTLP, and webhooks."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.hooks: list[web.Request] = []
        self.url = ""

    async def take_spans(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            service = _plain(resource.resource.attributes)["service.name"]
            self.spans += [_span(service, span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    async def take_hook(self, request: web.Request) -> web.Response:
        await request.read()
        self.hooks.append(request)
        return web.Response()

    def of_trace(self) -> dict[str, Span]:
        """The spans of our request by `service name`."""
        return {f"{span.service} {span.name}": span for span in self.spans if span.trace_id == TRACE}


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in attributes}


def _span(service: str, span: Any) -> Span:
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Span(service, span.name, span.kind, *ids, seconds, _plain(span.attributes))


@pytest_asyncio.fixture(loop_scope="session")
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    made = Collector()
    app = web.Application()
    app.add_routes([web.post("/v1/traces", made.take_spans), web.post("/hook", made.take_hook)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def traced(database_url: str, directory: Path, endpoint: str) -> AsyncIterator[Client]:
    """A client of a system that sends its spans there."""
    environ = {**harness.environment(database_url, "local:", directory), "ARPILOT_OTLP_ENDPOINT": endpoint}
    async with harness.system_over(environ) as system:
        yield await system.client()


async def test_a_request_is_one_trace_from_the_caller_to_the_receiver_of_the_webhook(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    async with traced(database_url, tmp_path, collector.url) as client:
        await client.post("/v1/webhooks", json={"url": f"{collector.url}/hook", "events": ["customer.created"]})
        contact = {"contact_name": "Ada", "email": "ada@example.com"}
        made = await client.post(
            "/v1/customers",
            json={"company_name": "Engines", "contacts": [contact]},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
        )
        assert made.status == 201, made.body

        async def complete() -> bool:
            wanted = {"customers POST /v1/customers", "invoices process customer.created", "webhooks POST webhook"}
            return {f"arpilot-{name}" for name in wanted} <= set(collector.of_trace())

        await wait_for(complete)

    spans = collector.of_trace()
    served = spans["arpilot-customers POST /v1/customers"]
    assert served.parent_id == CALLER
    assert served.attributes["http.response.status_code"] == 201
    assert served.attributes["arpilot.request_id"] == made.headers["X-Request-Id"]
    assert spans["arpilot-invoices process customer.created"].parent_id == served.span_id
    delivered = spans["arpilot-webhooks POST webhook"]
    assert delivered.parent_id == served.span_id
    assert [hook.headers["traceparent"] for hook in collector.hooks] == [f"00-{TRACE}-{delivered.span_id}-01"]
    assert all(span.seconds >= 0 for span in collector.spans)


async def test_a_collector_that_is_away_disturbs_nothing(database_url: str, tmp_path: Path) -> None:
    async with traced(database_url, tmp_path, "http://127.0.0.1:9") as client:
        assert (await client.get("/v1/customers")).status == 200


async def test_calls_between_services_and_jobs_are_in_it_too(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    async with traced(database_url, tmp_path, collector.url) as client:
        contact = {"contact_name": "Ada", "email": "ada@example.com"}
        customer = await client.post("/v1/customers", json={"company_name": "Engines", "contacts": [contact]})
        invoice = await client.post("/v1/invoices", json={"customer_id": customer.data["id"], "amount": 10})
        await client.post(
            f"/v1/invoices/{invoice.data['id']}/record-payment",
            json={"payment_method": "wire"},
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01"},
        )

        async def complete() -> bool:
            names = {span.name for span in collector.spans}
            called = {"POST /internal/applications", "POST invoices"} <= {s.name for s in collector.of_trace().values()}
            return called and any(name.startswith("job ") for name in names)

        await wait_for(complete)

    spans = collector.of_trace()
    assert (
        spans["arpilot-invoices POST /internal/applications"].parent_id
        == spans["arpilot-payments POST invoices"].span_id
    )
