"""Tenants who do business whatever happens, and a model beside them of what was accepted."""

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from tests.harness import Answer, Client
from tests.processes import Listening

UNKNOWN = (429, 502, 503)
"""Answers after which the same request is sent again with the same key."""
IN_PROGRESS = "request_in_progress"
FAIR = {
    "credit_exceeds_invoice",
    "dispute_already_open",
    "dispute_already_resolved",
    "invoice_cancelled",
    "invoice_fully_credited",
    "invoice_has_credits",
    "invoice_has_payments",
    "invoice_in_payment_plan",
    "invoice_not_creditable",
    "invoice_not_payable",
    "match_refused",
    "nothing_due",
    "nothing_to_dispute",
    "nothing_to_plan",
    "payment_fully_applied",
    "payment_plan_not_active",
}
"""Refusals that are right when two do business with one invoice at once."""
PATIENCE_SECONDS = 240.0
ANSWER_SECONDS = 45.0
REPEATED = 0.05
"""How many of the requests that were answered are sent once more, as by a client that lost the answer."""

Json = dict[str, Any]
PLACES = {
    "credit-notes": "invoices",
    "customers": "customers",
    "disputes": "invoices",
    "invoices": "invoices",
    "payment-plans": "invoices",
    "payments": "payments",
    "webhooks": "webhooks",
}


def service_of(path: str) -> str:
    """Who answers a path, as the gateway would have it."""
    return "payments" if path.endswith("/record-payment") else PLACES[path.split("?")[0].split("/")[2]]


@dataclass(frozen=True)
class Order:
    """A request that is sent until it is answered."""

    method: str
    path: str
    body: bytes
    key: str
    content_type: str = "application/json"


@dataclass
class Tenant:
    """A tenant, and what it was told had been done."""

    client: Client
    services: Mapping[str, Sequence[Listening]]
    dice: random.Random
    customers: set[str] = field(default_factory=set)
    invoices: dict[str, Json] = field(default_factory=dict)
    payments: dict[str, Decimal] = field(default_factory=dict)
    voided: set[str] = field(default_factory=set)
    credits: dict[str, Decimal] = field(default_factory=dict)
    disputes: dict[str, str] = field(default_factory=dict)
    """Each with `open` or its resolution."""
    plans: dict[str, bool] = field(default_factory=dict)
    """Each with whether it was cancelled."""
    imported: set[str] = field(default_factory=set)
    """The external ids of payments in bank files."""
    outcomes: Counter[str] = field(default_factory=Counter)
    errands: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)
    """What to do next, out of turn."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no fault excuses."""

    async def work(self, stopping: asyncio.Event) -> None:
        """One operation after the other, until told to stop; what was begun is brought to its end."""
        await self.make_customer()
        kinds = {
            self.make_customer: 1,
            self.bill: 4,
            self.pay: 2,
            self.record: 2,
            self.match: 2,
            self.unmatch: 1,
            self.void: 1,
            self.credit: 1,
            self.dispute: 1,
            self.resolve: 1,
            self.plan: 1,
            self.cancel_plan: 0.3,
            self.bill_several: 0.5,
            self.import_few: 0.3,
        }
        while not stopping.is_set() or self.errands:
            if self.errands:
                await self.errands.popleft()()
                continue
            (do,) = self.dice.choices(list(kinds), list(kinds.values()))
            await do()
            await asyncio.sleep(self.dice.uniform(0, 0.1))

    # What is billed

    async def make_customer(self) -> None:
        contact = {"contact_name": "Ada", "email": "ada@example.com"}
        body = {"company_name": f"Customer {self.dice.randrange(10**9)}", "contacts": [contact]}
        made = await self.order("/v1/customers", body)
        if made:
            self.customers.add(made["id"])

    async def bill(self) -> None:
        made = await self.order("/v1/invoices", self.an_invoice())
        if made:
            self.invoices[made["id"]] = made

    async def bill_several(self) -> None:
        await self.bill_many(self.dice.randrange(2, 30))

    async def bill_many(self, count: int) -> None:
        """A bulk call, a line for each invoice."""
        wanted = [self.an_invoice() for _ in range(count)]
        lines = b"\n".join(encoded(body) for body in wanted)
        rows = await self.carry("POST", "/v1/invoices/bulk", lines, "application/x-ndjson")
        assert rows is not None
        for row, body in zip(rows, wanted, strict=True):
            if row["status"] == "created":
                self.invoices[row["id"]] = {**row, "amount": body["amount"]}
            else:
                self.wrong.append(f"a row of a bulk call: {row}")

    def an_invoice(self) -> Json:
        amount = self.dice.randrange(100, 100_000) / 100
        return {"customer_id": self.dice.choice(sorted(self.customers)), "amount": amount, "due_date": "2999-12-31"}

    async def void(self) -> None:
        invoice = self.one_invoice()
        if invoice and await self.order(f"/v1/invoices/{invoice['id']}/void", {}):
            self.voided.add(invoice["id"])

    async def credit(self) -> None:
        invoice = self.one_invoice()
        if invoice:
            body = {"reason": "returned", "amount": self.dice.randrange(100, 5_000) / 100}
            made = await self.order(f"/v1/invoices/{invoice['id']}/credit-notes", body)
            if made:
                self.credits[made["id"]] = Decimal(str(made["amount"]))

    async def dispute(self) -> None:
        invoice = self.one_invoice()
        if invoice:
            made = await self.order("/v1/disputes", {"invoice_id": invoice["id"], "reason": "never arrived"})
            if made:
                self.disputes.setdefault(made["id"], "open")

    async def resolve(self) -> None:
        still_open = sorted(one for one, resolution in self.disputes.items() if resolution == "open")
        if still_open:
            one, resolution = self.dice.choice(still_open), self.dice.choice(("upheld", "rejected"))
            if await self.order(f"/v1/disputes/{one}/resolve", {"resolution": resolution}):
                self.disputes[one] = resolution

    async def plan(self) -> None:
        invoice = self.one_invoice()
        if invoice:
            schedule = {"count": 3, "frequency": "monthly", "start_date": "2999-01-31"}
            made = await self.order("/v1/payment-plans", {"invoice_ids": [invoice["id"]], **schedule})
            if made:
                self.plans.setdefault(made["id"], False)

    async def cancel_plan(self) -> None:
        active = sorted(one for one, cancelled in self.plans.items() if not cancelled)
        if active:
            one = self.dice.choice(active)
            if await self.order(f"/v1/payment-plans/{one}/cancel", {}):
                self.plans[one] = True

    def one_invoice(self) -> Json | None:
        return self.invoices[self.dice.choice(sorted(self.invoices))] if self.invoices else None

    # What is paid

    async def pay(self) -> None:
        """Money that names an invoice in its reference, as a bank tells it; cash application does the rest."""
        self.remember(await self.order("/v1/payments", self.a_payment()))

    def a_payment(self) -> Json:
        invoice = self.one_invoice()
        amount = Decimal(str(invoice["amount"])) if invoice else Decimal(7)
        reference = str(invoice["invoice_number"]) if invoice else "no invoice"
        return {"amount": amount, "payment_date": "2026-11-20", "payer_reference": reference}

    async def record(self) -> None:
        """Part of what an invoice asks for, put on it at once."""
        invoice = self.one_invoice()
        if invoice:
            amount = self.dice.randrange(100, 20_000) / 100
            self.remember(await self.order(f"/v1/invoices/{invoice['id']}/record-payment", {"amount": amount}))

    async def match(self) -> None:
        invoice = self.one_invoice()
        if invoice and self.payments:
            await self.change_payment({"invoice_id": invoice["id"]})

    async def unmatch(self) -> None:
        if self.payments:
            await self.change_payment({"invoice_id": None})

    async def change_payment(self, body: Json) -> None:
        payment = self.dice.choice(sorted(self.payments))
        await self.carry("PATCH", f"/v1/payments/{payment}", encoded(body))

    async def import_few(self) -> None:
        await self.import_file(self.dice.randrange(2, 20))

    async def import_file(self, rows: int) -> None:
        """A bank file; its payments come in the background."""
        made = [(f"bank-{self.dice.getrandbits(64):x}", self.a_payment()) for _ in range(rows)]
        lines = [f"{key},{row['payment_date']},{row['amount']},{row['payer_reference']}" for key, row in made]
        content = "\n".join(["external_payment_id,payment_date,amount,payer_reference", *lines]).encode()
        if await self.carry("POST", "/v1/payments/import?format=csv", content, "text/csv"):
            self.imported |= {key for key, _ in made}

    def remember(self, payment: Json | None) -> None:
        if payment:
            self.payments[payment["id"]] = Decimal(str(payment["amount"]))

    # Sending

    async def order(self, path: str, body: Json) -> Json | None:
        """Ask for something to be done; None where that was refused."""
        done: Json | None = await self.carry("POST", path, encoded(body))
        return done

    async def carry(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> Any:
        """Send one request, again and again with one key, until it is answered; None where it was refused."""
        order = Order(method, path, body, f"{self.dice.getrandbits(64):x}", content_type)
        answer = await self.answered(order)
        done = self.judged(order, answer)
        if done is not None and method == "POST" and self.dice.random() < REPEATED:
            self.compare(order, answer, await self.answered(order))
        return done

    async def answered(self, order: Order) -> Answer:
        """The answer, at last."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                answer = await self.attempt(order)
                if answer is not None and not unknown(answer):
                    return answer
                self.outcomes["repeated"] += 1
                await asyncio.sleep(self.dice.uniform(0.05, 0.3))

    async def attempt(self, order: Order) -> Answer | None:
        """One try, with either replica; None where nobody lived to answer."""
        replica = self.dice.choice(self.services[service_of(order.path)])
        url = f"http://127.0.0.1:{replica.port}{order.path}"
        headers = {
            "Authorization": f"Bearer {self.client.key}",
            "Idempotency-Key": order.key,
            "Content-Type": order.content_type,
        }
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self.client.session.request(
                order.method, url, data=order.body, headers=headers, timeout=timeout
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, OSError):
            return None

    def judged(self, order: Order, answer: Answer) -> Any:
        if answer.status < 300:
            self.outcomes["accepted"] += 1
            return answer.data
        self.outcomes[f"refused {answer.code}"] += 1
        if answer.code not in FAIR:
            self.wrong.append(f"{order.method} {order.path} {answer.status} {answer.body.decode()}")
        return None

    def compare(self, order: Order, first: Answer, second: Answer) -> None:
        """A key that was used before brings the first answer again."""
        self.outcomes["answered twice"] += 1
        if (first.status, ids(first)) != (second.status, ids(second)):
            self.wrong.append(f"{order.path} with one key: {first.body!r} and then {second.body!r}")


def unknown(answer: Answer) -> bool:
    """Whether the answer says nothing about what became of the request."""
    return answer.status in UNKNOWN or (answer.status == 409 and answer.code == IN_PROGRESS)


def ids(answer: Answer) -> list[str]:
    data = answer.data
    return [row["id"] for row in data] if isinstance(data, list) else [data["id"]]


def encoded(body: Json) -> bytes:
    return json.dumps(body, default=float).encode()
