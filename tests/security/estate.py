"""Two tenants who own one of everything, so that each may try the other's."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.http.routes import Route
from tests.e2e.test_no_input_gives_a_500 import one_of_each
from tests.harness import Answer, Client, System, wait_for
from tests.security.surface import SCOPED, path_names

UUIDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
BANK_FILE = b"Date,Amount,Reference\n2026-11-20,12.00,Rent\n"
LISTS = tuple(route for route in SCOPED if route.method == "GET" and not path_names(route))


@dataclass
class Owner:
    """A tenant with one of each thing, by the name of its id."""

    client: Client
    ids: dict[str, str]
    own: set[bytes] = field(default_factory=set)
    """All ids that its lists show, but for those that everybody sees."""


async def an_owner(system: System) -> Owner:
    """A new tenant that has one of everything."""
    return await furnished(await system.client())


async def furnished(client: Client) -> Owner:
    """A client's tenant, given one of everything."""
    ids = await one_of_each(client)
    steps = [{"days": 1, "template_id": ids["template_id"]}]
    schedule = await client.post("/v1/dunning-schedules", json={"name": "Mine", "steps": steps})
    imported = await client.post("/v1/payments/import", data=BANK_FILE, headers={"Content-Type": "text/csv"})
    lines = (await client.get(f"/v1/invoices/{ids['invoice_id']}")).data["line_items"]
    webhook = await client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/hook", "events": ["*"]})
    await client.post("/v1/tags", json={"name": "Heard"})
    unapplied = await client.post("/v1/payments", json={"amount": 5, "payment_date": "2026-11-20"})
    delivery = await wait_for(lambda: first(client, f"/v1/webhooks/{webhook.data['id']}/deliveries"))
    event = await wait_for(lambda: first(client, "/v1/events"))
    return Owner(
        client,
        ids
        | {
            "webhook_id": webhook.data["id"],
            "payment_id": unapplied.data["id"],
            "schedule_id": schedule.data["id"],
            "import_id": imported.data["id"],
            "line_id": lines[0]["id"],
            "line_item_id": lines[0]["id"],
            "delivery_id": delivery["id"],
            "event_id": event["id"],
        },
    )


async def first(client: Client, path: str) -> dict[str, Any]:
    """The first row of a list; nothing where there is none yet."""
    rows: list[dict[str, Any]] = (await client.get(path)).data
    return rows[0] if rows else {}


async def shown(client: Client, ids: Mapping[str, str]) -> set[bytes]:
    """Every id that a tenant sees in the lists it may read."""
    found: set[bytes] = set()
    for route in LISTS:
        async for page in pages(client, route, required(route, ids)):
            found |= set(UUIDS.findall(page.body))
    return found


async def pages(client: Client, route: Route, query: dict[str, str]) -> AsyncIterator[Answer]:
    """All pages of a list by cursor; the one answer of what is no list."""
    if route.many:
        query = query | {"limit": "100"}
    while True:
        page = await client.get(route.path, params=query)
        yield page
        if not route.many or page.status != 200 or not page.json["pagination"]["has_next_page"]:
            return
        query = query | {"after": page.json["pagination"]["end_cursor"]}


def required(route: Route, ids: Mapping[str, str]) -> dict[str, str]:
    """The parameters without which a list does not answer."""
    needed = {"/v1/contacts": "customer_id", "/v1/reports/statement": "customer_id"}.get(route.path)
    return {needed: ids[needed]} if needed else {}
