"""What every route does: bodies, errors, request ids, retry safety, health, documents."""

import asyncio
import gzip
import io

import pytest

from services import catalog
from shared.http.routes import Route
from shared.identity import oauth
from tests.harness import Client, System

TAG = {"name": "VIP"}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"name": NaN}', b"[" * 100_000, b'{"name": "a"} x'])
async def test_malformed_json_is_a_400_that_says_so(client: Client, body: bytes) -> None:
    answer = await client.post("/v1/tags", data=body)

    assert (answer.status, answer.code) == (400, "malformed_json")


async def test_a_missing_body_is_a_400_that_says_so(client: Client) -> None:
    assert (await client.post("/v1/tags")).code == "body_missing"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null"])
async def test_json_of_another_kind_is_refused(client: Client, body: bytes) -> None:
    assert (await client.post("/v1/tags", data=body)).status == 422


async def test_a_text_that_postgres_cannot_store_is_refused_and_named(client: Client) -> None:
    answer = await client.post("/v1/tags", data=b'{"name": "a\\u0000b"}')

    assert (answer.status, answer.fields) == (422, {"name"})


async def test_a_body_over_a_mebibyte_is_refused(client: Client) -> None:
    answer = await client.post("/v1/tags", data=io.BytesIO(b'{"name": "' + b"x" * 1024 * 1024 + b'"}'))

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(client: Client) -> None:
    bomb = gzip.compress(b'{"name": "' + b"x" * 50_000_000 + b'"}')
    assert len(bomb) < 1024 * 1024

    answer = await client.post("/v1/tags", data=bomb, headers={"Content-Encoding": "gzip"})

    assert answer.status in (400, 413)


async def test_every_answer_carries_a_request_id_and_keeps_a_sane_one(client: Client) -> None:
    kept = await client.get("/v1/tags", headers={"X-Request-Id": "order-42"})
    made = await client.get("/v1/tags", headers={"X-Request-Id": "not sane\t"})
    unknown = await client.get("/nowhere", headers={"X-Request-Id": "order-43"})

    assert kept.headers["X-Request-Id"] == "order-42"
    assert made.headers["X-Request-Id"] not in ("", "not sane\t")
    assert (unknown.status, unknown.json["request_id"]) == (404, "order-43")


async def test_unknown_addresses_and_methods_are_problems_too(client: Client) -> None:
    assert (await client.get("/v1/nothing")).code == "not_found"
    answer = await client.delete("/v1/customers")
    assert (answer.status, answer.code) == (405, "method_not_allowed")


async def test_a_malformed_id_in_the_path_is_a_400_that_names_it(client: Client) -> None:
    answer = await client.get("/v1/tags/not-a-uuid")

    assert (answer.status, answer.fields) == (400, {"tag_id"})


async def test_the_same_key_and_body_get_the_first_answer_again(client: Client) -> None:
    first = await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})
    again = await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})

    assert first.status == again.status == 201
    assert first.body == again.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


async def test_the_same_key_with_another_body_is_refused(client: Client) -> None:
    await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})

    answer = await client.post("/v1/tags", json={"name": "other"}, headers={"Idempotency-Key": "k1"})

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


async def test_a_refused_request_may_be_mended_and_sent_again(client: Client) -> None:
    refused = await client.post("/v1/tags", json={"nam": "x"}, headers={"Idempotency-Key": "k1"})
    mended = await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})

    assert (refused.status, mended.status) == (422, 201)


async def test_ten_requests_at_once_with_one_key_do_the_work_once(client: Client) -> None:
    answers = await asyncio.gather(
        *(client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"}) for _ in range(10))
    )

    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert (await client.get("/v1/tags")).json["pagination"]["total"] == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_of_the_wrong_form_is_refused(client: Client, key: str) -> None:
    answer = await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": key})

    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")


async def test_a_key_counts_for_its_own_tenant_only(client: Client, system: System) -> None:
    other = await system.client()
    await client.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})

    answer = await other.post("/v1/tags", json=TAG, headers={"Idempotency-Key": "k1"})

    assert "Idempotency-Replayed" not in answer.headers
    assert answer.status == 201


async def test_health_readiness_and_metrics_need_no_token(client: Client) -> None:
    client.key = ""

    assert (await client.get("/healthz")).json == {"status": "alive"}
    ready = (await client.get("/readyz")).json
    assert ready["status"] == "ready"
    assert set(catalog.NAMES) <= set(ready["checks"])
    assert b"arpilot_http_request_seconds" in (await client.get("/metrics")).body


def public_routes() -> list[Route]:
    routes = [route for service in catalog.find() for route in service.routes if not route.internal]
    return [*routes, *oauth.ROUTES]


async def test_every_route_is_in_the_openapi_document(client: Client) -> None:
    document = (await client.get("/openapi.json")).json

    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert described == {(route.method, route.path) for route in public_routes()}


async def test_operation_ids_are_unique_but_for_put_and_patch(client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]

    assert len(ids) == len(set(ids))


async def test_the_reference_page_names_every_route_and_loads_nothing_from_elsewhere(client: Client) -> None:
    page = (await client.get("/docs")).body.decode()

    assert all(route.path in page for route in public_routes() if route.content_type == "application/json")
    assert "<script" not in page
    assert 'src="http' not in page


async def test_the_asyncapi_document_names_every_event(client: Client) -> None:
    document = (await client.get("/asyncapi.json")).body.decode()

    names = [event.name for service in catalog.find() for event in service.events]
    assert len(names) > 10
    assert all(name in document for name in names)
