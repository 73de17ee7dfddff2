"""Tenants who do business whatever happens, and a model beside them of what was accepted."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from tests.harness import Answer, Client

UNKNOWN = (429, 502, 503)
"""Answers after which the same request is sent again with the same key."""
IN_PROGRESS = "request_in_progress"
FAIR = {"nothing_due", "invoice_not_payable", "invoice_has_payments", "invoice_cancelled"}
"""Refusals that are right when two do business with one invoice at once."""
PATIENCE_SECONDS = 240.0

Ports = Mapping[str, int]
PLACES = {"customers": "customers", "invoices": "invoices", "payments": "payments", "webhooks": "webhooks"}


def service_of(path: str) -> str:
    """Who answers a path, as the gateway would have it."""
    return "payments" if path.endswith("/record-payment") else PLACES[path.split("/")[2]]


@dataclass
class Tenant:
    """A tenant, and what it was told had been done."""

    client: Client
    ports: Ports
    dice: random.Random
    customers: set[str] = field(default_factory=set)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, Decimal] = field(default_factory=dict)
    voided: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that no fault excuses."""

    async def work(self, stopping: asyncio.Event) -> None:
        """One operation after the other, until told to stop; what was begun is brought to its end."""
        await self.make_customer()
        while not stopping.is_set():
            await self.dice.choice(
                (self.make_customer, self.bill, self.bill, self.bill, self.pay, self.record, self.void)
            )()
            await asyncio.sleep(self.dice.uniform(0, 0.1))

    async def make_customer(self) -> None:
        contact = {"contact_name": "Ada", "email": "ada@example.com"}
        body = {"company_name": f"Customer {self.dice.randrange(10**9)}", "contacts": [contact]}
        made = await self.order("/v1/customers", body)
        if made:
            self.customers.add(made["id"])

    async def bill(self) -> None:
        body = {
            "customer_id": self.dice.choice(sorted(self.customers)),
            "amount": self.dice.randrange(100, 100_000) / 100,
            "due_date": "2999-12-31",
        }
        made = await self.order("/v1/invoices", body)
        if made:
            self.invoices[made["id"]] = made

    async def pay(self) -> None:
        """Money that names an invoice in its reference, as a bank tells it; cash application does the rest."""
        invoice = self.one_invoice()
        amount = Decimal(str(invoice["amount"])) if invoice else Decimal(7)
        reference = str(invoice["invoice_number"]) if invoice else "no invoice"
        body = {"amount": amount, "payment_date": "2026-11-20", "payer_reference": reference}
        self.remember(await self.order("/v1/payments", body))

    async def record(self) -> None:
        """Part of what an invoice asks for, put on it at once."""
        invoice = self.one_invoice()
        if invoice:
            amount = self.dice.randrange(100, 20_000) / 100
            self.remember(await self.order(f"/v1/invoices/{invoice['id']}/record-payment", {"amount": amount}))

    async def void(self) -> None:
        invoice = self.one_invoice() if self.dice.random() < 0.3 else None
        if invoice and await self.order(f"/v1/invoices/{invoice['id']}/void", {}):
            self.voided.add(invoice["id"])

    def one_invoice(self) -> dict[str, Any] | None:
        return self.invoices[self.dice.choice(sorted(self.invoices))] if self.invoices else None

    def remember(self, payment: dict[str, Any] | None) -> None:
        if payment:
            self.payments[payment["id"]] = Decimal(str(payment["amount"]))

    async def order(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Send one request, again and again with one key, until it is answered; None where it was refused."""
        key = f"{self.dice.getrandbits(64):x}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                answer = await self.attempt(path, body, key)
                if answer is not None and not unknown(answer):
                    return self.judged(path, answer)
                self.outcomes["repeated"] += 1
                await asyncio.sleep(self.dice.uniform(0.05, 0.3))

    async def attempt(self, path: str, body: dict[str, Any], key: str) -> Answer | None:
        """One try; None where nobody lived to answer."""
        self.client.base_url = f"http://127.0.0.1:{self.ports[service_of(path)]}"
        try:
            return await self.client.post(path, json=body, headers={"Idempotency-Key": key})
        except (aiohttp.ClientError, OSError):
            return None

    def judged(self, path: str, answer: Answer) -> dict[str, Any] | None:
        if answer.status < 300:
            self.outcomes["accepted"] += 1
            made: dict[str, Any] = answer.data
            return made
        self.outcomes[f"refused {answer.code}"] += 1
        if answer.code not in FAIR:
            self.wrong.append(f"{path} {answer.status} {answer.body.decode()}")
        return None


def unknown(answer: Answer) -> bool:
    """Whether the answer says nothing about what became of the request."""
    return answer.status in UNKNOWN or (answer.status == 409 and answer.code == IN_PROGRESS)
