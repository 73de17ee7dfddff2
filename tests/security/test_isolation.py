"""What is a tenant's own is not there for any other: every route, every id in path, query and body, generated."""

import json
import typing
from typing import Any

import pytest

from shared.http.routes import Route
from tests.harness import Answer
from tests.security import surface
from tests.security.estate import LISTS, UUIDS, Owner, pages, required, shown
from tests.security.surface import SCOPED, Place

BULK = {"/v1/invoices/bulk", "/v1/payments/bulk"}
WITH_IDS = [route for route in SCOPED if surface.path_names(route)]
BODIES = [(route, place) for route in SCOPED if route.body is not None for place in surface.places(route.body)]
QUERIES = [(route, place) for route in SCOPED if route.query is not None for place in surface.places(route.query)]
SEARCHES = [route for route in SCOPED if route.query and "search" in typing.get_type_hints(route.query)]


def titles(cases: list[tuple[Route, Place]]) -> list[str]:
    return [f"{surface.name(route)} {'.'.join(map(str, place))}" for route, place in cases]


def body_of(route: Route, stranger: Owner, place: Place = ()) -> dict[str, Any]:
    if route.body is None:
        return {}
    body: dict[str, Any] = surface.sample(route.body, stranger.ids, reach=place)
    return {"json": body}


def nothing_of(owner: Owner, answer: Answer, *, but: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """The answer names nothing of the owner's, except what the stranger sent."""
    assert answer.status < 500, answer
    assert not (set(UUIDS.findall(answer.body)) & owner.own) - {one.encode() for one in but}, answer


@pytest.mark.parametrize("route", WITH_IDS, ids=surface.name)
async def test_what_another_owns_is_not_found_by_its_address(route: Route, owner: Owner, stranger: Owner) -> None:
    query = surface.sample(route.query, stranger.ids) if route.query else {}
    sent = body_of(route, stranger)

    for name in surface.path_names(route):
        path = surface.address(route, stranger.ids | {name: owner.ids[name]})
        answer = await stranger.client.request(route.method, path, params=query, **sent)
        assert answer.status == 404, f"{name} {answer.body.decode()}"
        nothing_of(owner, answer, but={owner.ids[name]})


@pytest.mark.parametrize(("route", "place"), BODIES, ids=titles(BODIES))
async def test_what_another_owns_is_not_found_when_a_body_names_it(
    route: Route, place: Place, owner: Owner, stranger: Owner
) -> None:
    sent = body_of(route, stranger, place)
    foreign = owner.ids[surface.kind_of_id(place)]
    surface.put(sent["json"], place, foreign)

    answer = await stranger.client.request(route.method, surface.address(route, stranger.ids), **sent)

    assert answer.status == 404, f"{json.dumps(sent)} {answer.body.decode()}"
    nothing_of(owner, answer, but={foreign})


@pytest.mark.parametrize(("route", "place"), QUERIES, ids=titles(QUERIES))
async def test_a_list_narrowed_to_what_another_owns_is_empty(
    route: Route, place: Place, owner: Owner, stranger: Owner
) -> None:
    foreign = owner.ids[surface.kind_of_id(place)]
    query = surface.sample(route.query, stranger.ids, reach=place)
    surface.put(query, place, foreign)

    answer = await stranger.client.request(route.method, surface.address(route, stranger.ids), params=query)

    assert answer.status == 404 or (answer.status == 200 and answer.data == []), answer
    nothing_of(owner, answer, but={foreign})


@pytest.mark.parametrize("route", LISTS, ids=surface.name)
async def test_a_list_shows_nothing_of_another_tenant(route: Route, owner: Owner, stranger: Owner) -> None:
    async for answer in pages(stranger.client, route, required(route, stranger.ids)):
        assert answer.status == 200, answer
        nothing_of(owner, answer)


@pytest.mark.parametrize("route", SEARCHES, ids=surface.name)
@pytest.mark.parametrize("text", ["a", "%", "_", "e%", "\\", "' or true --"])
async def test_a_search_finds_nothing_of_another_tenant(route: Route, text: str, owner: Owner, stranger: Owner) -> None:
    answer = await stranger.client.get(route.path, params={"search": text})

    assert answer.status == 200, answer
    nothing_of(owner, answer)


async def test_a_bulk_call_finds_nothing_of_another_tenant(owner: Owner, stranger: Owner) -> None:
    assert {route.path for route in SCOPED if route.raw_body and route.path.endswith("/bulk")} == BULK
    bill = {"customer_id": owner.ids["customer_id"], "amount": 10, "due_date": "2999-01-01"}

    answer = await stranger.client.post("/v1/invoices/bulk", json=[bill])

    assert answer.data[0]["problem"]["code"] == "customer_not_found", answer


async def test_a_cursor_of_another_tenant_leads_to_ones_own_rows(owner: Owner, stranger: Owner) -> None:
    cursor = (await owner.client.get("/v1/invoices?limit=1")).json["pagination"]["end_cursor"]

    for side in ("after", "before"):
        answer = await stranger.client.get("/v1/invoices", params={"limit": "10", side: cursor})
        nothing_of(owner, answer)


async def test_after_all_that_the_owner_has_what_it_had(owner: Owner) -> None:
    """Runs last in this file, after the stranger has tried every write on the owner's things."""
    missing = owner.own - await shown(owner.client, owner.ids)

    assert not missing
