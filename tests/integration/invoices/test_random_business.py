"""Whatever is done to invoices, in whatever order and at the same time, the books stay right (docs/accounting.md)."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.invoices.ledger.verify import findings
from shared.http.client import InternalClient
from tests.harness import SECRETS, Answer, Client, System
from tests.integration.invoices.scenes import a_customer

ALLOWED = {200, 201, 404, 409, 412, 422}
"""Anything may be refused; nothing may break."""

OPERATIONS = (
    "create",
    "edit_amount",
    "edit_lines",
    "pay_outside",
    "apply",
    "apply_exact",
    "unapply",
    "publish",
    "void",
    "write_off",
    "credit",
    "dispute",
    "resolve",
    "plan",
    "pin",
    "unpin",
    "archive",
    "restore",
    "clone",
)


class Firm:
    """A tenant in which things happen; chance comes from a seeded generator."""

    def __init__(self, client: Client, payments: InternalClient, customer_id: str, seed: int) -> None:
        self.client = client
        self.payments = payments
        self.customer_id = customer_id
        self.chance = random.Random(seed)
        self.invoices: list[str] = []
        self.allocations: list[str] = []
        self.disputes: list[str] = []

    async def do(self, operation: str) -> None:
        """One operation on some invoice."""
        if operation != "create" and not self.invoices:
            return
        answer = await getattr(self, operation)()
        assert answer is None or answer.status in ALLOWED, f"{operation}: {answer.status} {answer.body.decode()}"

    def path(self) -> str:
        return f"/v1/invoices/{self.chance.choice(self.invoices)}"

    def cents(self) -> int:
        return self.chance.randint(1, 15_000)

    def lines(self) -> list[dict[str, Any]]:
        count = self.chance.randint(1, 3)
        return [{"description": f"Line {i}", "unit_price": self.cents() / 100} for i in range(count)]

    async def create(self) -> Answer:
        status = self.chance.choice(["pending", "draft", "in_dispute"])
        due = self.chance.choice(["2020-01-01", "2999-01-01"])
        body: dict[str, Any] = {"customer_id": self.customer_id, "status": status, "due_date": due}
        body |= {"line_items": self.lines()} if self.chance.random() < 0.5 else {"amount": self.cents() / 100}
        answer = await self.client.post("/v1/invoices", json=body)
        self.invoices.append(answer.data["id"])
        return answer

    async def edit_amount(self) -> Answer:
        return await self.client.patch(self.path(), json={"amount": self.cents() / 100})

    async def edit_lines(self) -> Answer:
        body = {"line_items": self.lines(), "discount_type": "percentage", "discount_value": self.chance.randint(0, 99)}
        return await self.client.put(f"{self.path()}/line-items", json=body)

    async def pay_outside(self) -> Answer:
        field = self.chance.choice(["amount_due", "external_payment_amount"])
        return await self.client.patch(self.path(), json={field: self.cents() / 200})

    async def apply(self, *, exact: bool = False) -> None:
        wish = {
            "allocation_id": str(uuid4()),
            "tenant_id": str(self.client.tenant_id),
            "payment_id": str(uuid4()),
            "invoice_id": self.chance.choice(self.invoices),
            "amount_cents": self.cents(),
            "currency": "USD",
            "payment_date": "2026-01-15",
            "exact": exact,
            "write_off_cents": self.chance.choice([0, 0, 50]),
        }
        self.allocations.append(str(wish["allocation_id"]))
        await self.payments.post("invoices", "/internal/applications", {"applications": [wish]}, dict[str, Any])

    async def apply_exact(self) -> None:
        await self.apply(exact=True)

    async def unapply(self) -> None:
        if self.allocations:
            body = {"tenant_id": str(self.client.tenant_id), "allocation_id": self.chance.choice(self.allocations)}
            await self.payments.post(
                "invoices", "/internal/applications/reverse", {"reversals": [body]}, dict[str, Any]
            )

    async def publish(self) -> Answer:
        return await self.client.post(f"{self.path()}/publish")

    async def void(self) -> Answer:
        return await self.client.post(f"{self.path()}/void")

    async def write_off(self) -> Answer:
        return await self.client.post(f"{self.path()}/write-off", json={"reason": "lost"})

    async def credit(self) -> Answer:
        body: dict[str, Any] = {"reason": "returned"}
        if self.chance.random() < 0.7:
            body["amount"] = self.cents() / 300 // 0.01 / 100 + 0.01
        return await self.client.post(f"{self.path()}/credit-notes", json=body)

    async def dispute(self) -> Answer:
        body = {"invoice_id": self.chance.choice(self.invoices), "reason": "damaged"}
        answer = await self.client.post("/v1/disputes", json=body)
        if answer.status == 201:
            self.disputes.append(answer.data["id"])
        return answer

    async def resolve(self) -> Answer | None:
        if not self.disputes:
            return None
        body = {"resolution": self.chance.choice(["upheld", "rejected"])}
        return await self.client.post(f"/v1/disputes/{self.chance.choice(self.disputes)}/resolve", json=body)

    async def plan(self) -> Answer:
        body = {
            "invoice_ids": [self.chance.choice(self.invoices)],
            "count": self.chance.randint(1, 4),
            "frequency": "monthly",
            "start_date": "2999-01-31",
        }
        return await self.client.post("/v1/payment-plans", json=body)

    async def pin(self) -> Answer:
        status = self.chance.choice(["overdue", "in_dispute", "pending"])
        return await self.client.post(f"{self.path()}/status", json={"status": status})

    async def unpin(self) -> Answer:
        return await self.client.post(f"{self.path()}/status", json={"status": None})

    async def archive(self) -> Answer:
        return await self.client.delete(self.path())

    async def restore(self) -> Answer:
        return await self.client.post(f"{self.path()}/restore")

    async def clone(self) -> Answer:
        body = {"customer_id": self.customer_id, "issue_date": "2026-01-01", "due_date": "2026-02-01"}
        answer = await self.client.post(f"{self.path()}/clone", json=body)
        self.invoices.append(answer.data["id"])
        return answer


@pytest.mark.parametrize("at_once", [1, 6])
async def test_the_books_stay_right_whatever_happens(system: System, at_once: int) -> None:
    """Hypothesis picks the operations; `at_once` of them run concurrently, then all invariants are checked."""

    async def play(operations: list[str], seed: int) -> None:
        client = await system.client()
        payments = InternalClient("payments", {"invoices": system.base_url}, SECRETS["ARPILOT_SECRET_KEY"])
        try:
            firm = Firm(client, payments, (await a_customer(client))["id"], seed)
            for at in range(0, len(operations), at_once):
                await asyncio.gather(*(firm.do(operation) for operation in operations[at : at + at_once]))
                async with system.owner() as conn:
                    assert await findings(conn) == []
        finally:
            await payments.close()

    loop = asyncio.get_running_loop()

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(OPERATIONS), min_size=8, max_size=30), st.integers(0, 2**16))
    def example(operations: list[str], seed: int) -> None:
        asyncio.run_coroutine_threadsafe(play(["create", "create", *operations], seed), loop).result(timeout=120)

    await asyncio.to_thread(example)
