"""Many hands on the same payments and invoices at once, and the same walk over RabbitMQ."""

import asyncio
import random
from decimal import Decimal
from typing import Any

from tests.harness import Answer, Client, System, wait_for
from tests.integration.payments.book import (
    a_customer,
    a_payment,
    an_invoice,
    due,
    invoice,
    manual,
    payment,
    settled,
)

STEPS = 25
HANDS = 4


class Hand:
    """One of many that do something at random, again and again; refusals are fine, failures are not."""

    def __init__(
        self, client: Client, payments: list[dict[str, Any]], invoices: list[dict[str, Any]], seed: int
    ) -> None:
        self.client, self.payments, self.invoices, self.dice = client, payments, invoices, random.Random(seed)

    async def work(self) -> None:
        for _ in range(STEPS):
            answer = await self.dice.choice([self.match, self.unmatch, self.split, self.refund, self.record])()
            assert answer.status in (200, 201, 409, 422), answer.body

    def _path(self, rest: str = "") -> str:
        return f"/v1/payments/{self.dice.choice(self.payments)['id']}{rest}"

    async def match(self) -> Answer:
        return await self.client.patch(self._path(), json={"invoice_id": self.dice.choice(self.invoices)["id"]})

    async def unmatch(self) -> Answer:
        return await self.client.patch(self._path(), json={"invoice_id": None})

    async def split(self) -> Answer:
        chosen = self.dice.sample(self.invoices, self.dice.randint(0, 3))
        parts = [{"invoice_id": one["id"], "amount": self.dice.randint(1, 60)} for one in chosen]
        return await self.client.put(self._path("/allocations"), json={"allocations": parts})

    async def refund(self) -> Answer:
        return await self.client.post(self._path("/refund"), json={"amount": self.dice.randint(1, 5)})

    async def record(self) -> Answer:
        path = f"/v1/invoices/{self.dice.choice(self.invoices)['id']}/record-payment"
        answer = await self.client.post(path, json={"amount": self.dice.randint(1, 10)})
        if answer.status == 201:
            self.payments.append(answer.data)
        return answer


async def test_whatever_many_hands_do_at_once_every_cent_is_in_one_place(client: Client) -> None:
    """The ledgers of the shared system are verified when all tests are done."""
    await manual(client)
    customers = [await a_customer(client, name) for name in ("Acme Foods", "Delta Fuels")]
    invoices = [await an_invoice(client, customers[place % 2], 100) for place in range(4)]
    payments = [await a_payment(client, 90) for _ in range(5)]

    await asyncio.gather(*(Hand(client, payments, invoices, seed).work() for seed in range(HANDS)))

    async def are_settled() -> bool:
        found = [await payment(client, one) for one in payments]
        return all(one["match_status"] != "pending" for one in found)

    await wait_for(are_settled)
    found = [await payment(client, one) for one in payments]
    for one in found:
        assert one["applied_amount"] == sum(a["amount"] for a in one["allocations"])
        assert one["unapplied_amount"] == one["amount"] - one["refunded_amount"] - one["applied_amount"] >= 0
    for one in invoices:
        on_it = sum(a["amount"] for p in found for a in p["allocations"] if a["invoice_id"] == one["id"])
        shown = await invoice(client, one)
        assert (shown["amount_paid"], shown["amount_due"]) == (on_it, 100 - on_it)


async def test_over_rabbitmq_a_payment_is_matched_and_booked(rabbit_system: System) -> None:
    client = await rabbit_system.client()
    owed = await an_invoice(client, await a_customer(client), 250)

    paid = await settled(client, await a_payment(client, 250, payer_reference=owed["invoice_number"]))

    async def is_queued() -> list[dict[str, Any]] | None:
        rows: list[dict[str, Any]] = (await client.get("/v1/reconciliation?change_type=payment_applied")).data
        return rows or None

    (change,) = await wait_for(is_queued) or []
    assert await due(client, owed) == 0
    assert change["payment_id"] == paid["id"]
    assert {line["account_code"]: Decimal(line["debit"]) for line in change["lines"]} == {"2200": 250, "1100": 0}
