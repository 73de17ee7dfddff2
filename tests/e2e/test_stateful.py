"""What was made is read, changed, used and removed in any order, along the links of the OpenAPI document.

Two walk from each creation to what its links name, with the id that was answered, and so meet objects in states that no
test wrote down: schemathesis, and a plain walk that gets further in less time. Both are seeded and say their seed.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from services import catalog
from tests.e2e.nasty import Spoiler
from tests.e2e.test_no_input_gives_a_500 import given_up, is_handed_on, one_of_each, schemathesis
from tests.harness import Answer, Client, System, wait_for

SECONDS = 15
"""What each gets."""
AT_ONCE = 4
SEED = int(os.environ.get("ARPILOT_SEED", "20261121"))
EXTRAS: dict[str, dict[str, Any]] = {
    "/v1/customers": {"contacts": [{"contact_name": "Ada", "email": "ada@example.com"}]},
    "/v1/invoices": {"amount": 100, "due_date": "2999-12-31"},
    "/v1/payment-plans": {"count": 2, "frequency": "monthly", "start_date": "2999-01-01"},
    "/v1/webhooks": {"url": "http://127.0.0.1:9/hook", "is_active": False},
}
"""What makes sense beside the required fields of a creation."""

BANK_FILE = b"Date,Amount\n2026-11-20,1.00\n"

Json = dict[str, Any]


async def test_no_walk_of_schemathesis_along_the_links_ends_in_a_500(client: Client, tmp_path: Path) -> None:
    findings = await schemathesis(
        client,
        tmp_path,
        await one_of_each(client),
        "[phases.stateful.inference]\nalgorithms = []\n",
        "--checks=not_a_server_error,content_type_conformance",
        f"--max-time={SECONDS}",
        "--phases=stateful",
        "--mode=positive",
        f"--seed={SEED}",
    )

    assert not findings, findings


async def test_every_link_is_followed_in_every_order_and_none_ends_in_a_500(system: System, client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    walk = Walk(client, document, await one_of_each(client))

    await walk.all_for(SECONDS)

    assert not walk.failed, (SEED, walk.failed[:10])
    assert not walk.links - set(walk.seen), "links that nobody followed"
    assert len(walk.worked) > len(walk.links) * 0.7, sorted(walk.links - walk.worked)
    assert {owner(path) for path, _ in walk.worked} == set(catalog.NAMES)
    await wait_for(lambda: is_handed_on(system), seconds=60)
    assert not await given_up(system, client)


def owner(path: str) -> str:
    """The service that answers a path."""
    return next(
        service.name for service in catalog.find() for route in service.routes if route.path == path.partition("?")[0]
    )


class Creation(NamedTuple):
    """A call that makes something, and what may be done with that."""

    path: str
    operation: Json
    links: list[Json]


class Walk:
    """Makes something and does what may be done with it, in any order, again and again."""

    def __init__(self, client: Client, document: Json, ids: dict[str, str]) -> None:
        self.client = client
        self.ids = ids
        self.dice = random.Random(SEED)
        self.spoiler = Spoiler(document, ids)
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }
        self.creations = list(self.found())
        self.links = {
            (self.operations[link["operationId"]][1], link["operationId"])
            for creation in self.creations
            for link in creation.links
        }
        self.seen: Counter[tuple[str, str]] = Counter()
        self.worked: set[tuple[str, str]] = set()
        self.failed: list[tuple[str, str, Answer]] = []

    def found(self) -> Iterator[Creation]:
        for _, path, operation in self.operations.values():
            for answer in operation["responses"].values():
                if links := answer.get("links"):
                    yield Creation(path, operation, list(links.values()))

    async def all_for(self, seconds: float) -> None:
        """Several at once, each with the creations in turn; each creation once, however long that takes."""
        deadline = time.monotonic() + seconds

        async def work(first: int) -> None:
            turn = first
            while time.monotonic() < deadline or turn - first <= len(self.creations) // AT_ONCE:
                await self.once(self.creations[turn % len(self.creations)])
                turn += 1

        await asyncio.gather(*(work(number * len(self.creations) // AT_ONCE) for number in range(AT_ONCE)))

    async def once(self, creation: Creation) -> None:
        """Make one, then follow each link twice, in any order. What is made may need an invoice that is still open."""
        bill = {"customer_id": self.ids["customer_id"], "amount": 100, "due_date": "2999-12-31"}
        self.ids["invoice_id"] = (await self.client.post("/v1/invoices", json=bill)).data["id"]
        made = await self.send("POST", creation.path, creation.operation, "made")
        if made.status >= 300:
            return
        (name,) = creation.links[0]["parameters"]
        for link in self.dice.sample([*creation.links, *creation.links], k=len(creation.links) * 2):
            method, path, operation = self.operations[link["operationId"]]
            ids = self.ids | {name: made.data["id"]}
            for other, real in ids.items():
                path = path.replace(f"{{{other}}}", real)
            place = (self.operations[link["operationId"]][1], link["operationId"])
            answer = await self.send(method, path, operation, link["operationId"])
            self.seen[place] += 1
            if answer.status < 300:
                self.worked.add(place)

    async def send(self, method: str, path: str, operation: Json, name: str) -> Answer:
        """A request as the document has it."""
        answer = await self.client.request(method, path, **self.body(path, operation))
        if answer.status >= 500:
            self.failed.append((name, path, answer))
        return answer

    def body(self, path: str, operation: Json) -> dict[str, Any]:
        """The required fields, sometimes an optional one too, with texts that are new each time."""
        if path == "/v1/dunning-pauses":
            return {"json": {"invoice_id": self.ids["invoice_id"]}}
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content or "schema" not in content["application/json"]:
            return {"data": BANK_FILE} if content else {}
        body = self.spoiler.valid(content["application/json"]["schema"], self.dice)
        return {"json": self.fresh(body | EXTRAS.get(path, {})) if isinstance(body, dict) else body}

    def fresh(self, value: Any) -> Any:
        """The same with other words."""
        if isinstance(value, dict):
            return {name: self.fresh(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.fresh(part) for part in value]
        return f"x{self.dice.getrandbits(40):x}" if value == "x1" else value
