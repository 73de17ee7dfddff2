"""Any business, done by several people at once, leaves the books right.

A hypothesis state machine runs random operations concurrently against the real service: create, edit, publish, pay,
unmatch, refund, credit, apply credit, dispute, resolve, plan, cancel, write off, void, pin, archive. Any of them may be
refused; none may fail. After each batch all invariants of docs/accounting.md hold.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.harness import Answer, Client, System, verify_ledgers, wait_for
from tests.integration.invoices.scenes import Json, a_customer, balance, made, money

T = TypeVar("T")
NOTHING_TO_DO = Answer(status=404, headers={}, body=b"{}")


@dataclass(frozen=True)
class Operation:
    """One thing that somebody does. The numbers choose what it is done to, and how much."""

    name: str
    target: int
    other: int
    cents: int

    @property
    def amount(self) -> Decimal:
        return Decimal(self.cents).scaleb(-2)


@dataclass
class Shop:
    """A tenant, and what has been made in it so far."""

    client: Client
    customers: list[str] = field(default_factory=list)
    rates: list[str] = field(default_factory=list)
    made: dict[str, list[str]] = field(default_factory=dict)

    def one(self, kind: str, number: int) -> str | None:
        """Something that was made before, if anything was."""
        ids = self.made.get(kind, [])
        return ids[number % len(ids)] if ids else None

    async def post(self, path: str, body: Json | None = None, *, makes: str | None = None) -> Answer:
        answer = await self.client.post(path, json=body or {})
        if makes and answer.status == 201:
            self.made.setdefault(makes, []).append(answer.data["id"])
        return answer

    async def on(self, kind: str, number: int, action: str, body: Json | None = None, **kwargs: Any) -> Answer:
        """Post an action to one of what was made."""
        found = self.one(kind, number)
        return NOTHING_TO_DO if found is None else await self.post(f"/v1/{kind}/{found}{action}", body, **kwargs)

    async def change(self, kind: str, number: int, body: Json) -> Answer:
        found = self.one(kind, number)
        return NOTHING_TO_DO if found is None else await self.client.patch(f"/v1/{kind}/{found}", json=body)


Doing = Callable[[Shop, Operation], Awaitable[Answer]]
DOINGS: dict[str, Doing] = {}


def doing(function: Doing) -> Doing:
    """Add a kind of operation to those that are drawn."""
    DOINGS[getattr(function, "__name__", "")] = function
    return function


@doing
async def create_by_amount(shop: Shop, op: Operation) -> Answer:
    body = {"customer_id": shop.customers[op.other % 2], "amount": op.amount, "due_date": DAYS[op.other % len(DAYS)]}
    return await shop.post("/v1/invoices", body | STATUSES[op.target % len(STATUSES)], makes="invoices")


DAYS = ("2999-01-01", "2026-01-01")
STATUSES: tuple[Json, ...] = ({}, {"status": "draft"}, {"adjustment_amount": -1}, {"tax_amount": 1})


SEVEN_PERCENT_OFF: Json = {"discount_type": "percentage", "discount_value": 7}


@doing
async def create_by_lines(shop: Shop, op: Operation) -> Answer:
    lines = [
        {
            "description": "Work",
            "quantity": 3,
            "unit_price": op.amount,
            "discount_type": "percentage",
            "discount_value": 7,
        },
        {"description": "Thing", "line_amount": op.amount, "taxable": bool(op.other % 2)},
        {"description": "Rebate", "line_amount": -op.amount},
    ]
    body = {
        "customer_id": shop.customers[op.other % 2],
        "line_items": lines[: op.target % 3 + 1],
        "tax_rate_ids": shop.rates[: op.other % 3],
        "tax_type": ("summary", "inline")[op.cents % 2],
        "discount_type": "fixed",
        "discount_value": Decimal(op.cents // 2).scaleb(-2),
        "adjustment_amount": Decimal("0.03"),
    }
    return await shop.post("/v1/invoices", body, makes="invoices")


@doing
async def edit_amount(shop: Shop, op: Operation) -> Answer:
    return await shop.change("invoices", op.target, {"amount": op.amount})


@doing
async def edit_external_payment(shop: Shop, op: Operation) -> Answer:
    return await shop.change("invoices", op.target, {"external_payment_amount": op.amount})


@doing
async def edit_lines(shop: Shop, op: Operation) -> Answer:
    body = {"line_items": [{"description": "More", "line_amount": op.amount}], "issue_date": "2026-02-03"}
    return await shop.change("invoices", op.target, body)


@doing
async def move_due_date(shop: Shop, op: Operation) -> Answer:
    return await shop.change("invoices", op.target, {"due_date": DAYS[op.other % len(DAYS)]})


@doing
async def mark_paid(shop: Shop, op: Operation) -> Answer:
    return await shop.change("invoices", op.target, {"status": "paid"})


@doing
async def pin_status(shop: Shop, op: Operation) -> Answer:
    status = (None, "overdue", "in_dispute", "partial")[op.other % 4]
    return await shop.on("invoices", op.target, "/status", {"status": status})


@doing
async def publish(shop: Shop, op: Operation) -> Answer:
    return await shop.on("invoices", op.target, "/publish")


@doing
async def void(shop: Shop, op: Operation) -> Answer:
    return await shop.on("invoices", op.target, "/void")


@doing
async def write_off(shop: Shop, op: Operation) -> Answer:
    return await shop.on("invoices", op.target, "/write-off", {"reason": "Gone"})


@doing
async def archive(shop: Shop, op: Operation) -> Answer:
    found = shop.one("invoices", op.target)
    return NOTHING_TO_DO if found is None else await shop.client.delete(f"/v1/invoices/{found}")


@doing
async def restore(shop: Shop, op: Operation) -> Answer:
    return await shop.on("invoices", op.target, "/restore")


@doing
async def record_payment(shop: Shop, op: Operation) -> Answer:
    body = {"amount": op.amount} if op.other % 3 else {}
    return await shop.on("invoices", op.target, "/record-payment", body, makes="payments")


@doing
async def receive_payment(shop: Shop, op: Operation) -> Answer:
    body = {"amount": op.amount, "payment_date": "2026-11-01"}
    return await shop.post("/v1/payments", body, makes="payments")


@doing
async def match_payment(shop: Shop, op: Operation) -> Answer:
    return await shop.change("payments", op.target, {"invoice_id": shop.one("invoices", op.other)})


@doing
async def unmatch_payment(shop: Shop, op: Operation) -> Answer:
    return await shop.change("payments", op.target, {"invoice_id": None})


@doing
async def refund(shop: Shop, op: Operation) -> Answer:
    return await shop.on("payments", op.target, "/refund", {"amount": op.amount})


@doing
async def credit(shop: Shop, op: Operation) -> Answer:
    body = {"reason": "Returned"} | ({"amount": op.amount} if op.other % 3 else {})
    return await shop.on("invoices", op.target, "/credit-notes", body, makes="credit-notes")


@doing
async def credit_line(shop: Shop, op: Operation) -> Answer:
    found = shop.one("invoices", op.target)
    lines = (await shop.client.get(f"/v1/invoices/{found}")).data["line_items"] if found else []
    if not lines:
        return NOTHING_TO_DO
    share = {"line_item_id": lines[op.other % len(lines)]["id"], "quantity": 1}
    body = {"reason": "Broken", "line_items": [share]}
    return await shop.post(f"/v1/invoices/{found}/credit-notes", body, makes="credit-notes")


@doing
async def apply_credit(shop: Shop, op: Operation) -> Answer:
    invoice_id = shop.one("invoices", op.other)
    return await shop.on(
        "credit-notes", op.target, "/apply", {"allocations": [{"invoice_id": invoice_id, "amount": op.amount}]}
    )


@doing
async def dispute(shop: Shop, op: Operation) -> Answer:
    body = {"invoice_id": shop.one("invoices", op.target), "reason": "Late"} | (
        {"amount": op.amount} if op.other % 2 else {}
    )
    return await shop.post("/v1/disputes", body, makes="disputes")


@doing
async def resolve(shop: Shop, op: Operation) -> Answer:
    resolution = ("upheld", "rejected")[op.other % 2]
    return await shop.on("disputes", op.target, "/resolve", {"resolution": resolution})


@doing
async def plan(shop: Shop, op: Operation) -> Answer:
    chosen = {shop.one("invoices", op.target), shop.one("invoices", op.other)}
    body = {"invoice_ids": sorted(map(str, chosen)), "count": 3, "frequency": "monthly", "start_date": "2999-01-31"}
    return await shop.post("/v1/payment-plans", body, makes="payment-plans")


@doing
async def cancel_plan(shop: Shop, op: Operation) -> Answer:
    return await shop.on("payment-plans", op.target, "/cancel")


OPERATIONS = st.builds(
    Operation,
    name=st.sampled_from(sorted(DOINGS)),
    target=st.integers(0, 7),
    other=st.integers(0, 7),
    cents=st.integers(1, 20_000),
)


class Business(RuleBasedStateMachine):
    """Random business of one tenant."""

    def __init__(self, system: System, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.system = system
        self.loop = loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def open_the_shop(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        client = await self.system.client()
        self.shop = Shop(client, customers=[(await a_customer(client))["id"] for _ in range(2)])
        for name, rate in (("VAT", "0.19"), ("Levy", "0.09975")):
            made_rate = made(await client.post("/v1/tax-rates", json={"name": name, "rate": Decimal(rate)}))
            self.shop.rates.append(made_rate["id"])
        for number in range(3):
            await create_by_lines(self.shop, Operation("create_by_lines", number, number, 10_000))

    @rule(operations=st.lists(OPERATIONS, min_size=1, max_size=6))
    def at_once(self, operations: list[Operation]) -> None:
        """Several people do something at the same moment."""
        answers = self.run(self._at_once(operations))
        for operation, answer in zip(operations, answers, strict=True):
            assert answer.status < 500, f"{operation}: {answer}"

    async def _at_once(self, operations: list[Operation]) -> list[Answer]:
        return await asyncio.gather(*(DOINGS[operation.name](self.shop, operation) for operation in operations))

    @invariant()
    def the_books_are_right(self) -> None:
        if hasattr(self, "shop"):
            self.run(verify_ledgers(self.system.database_url))
            self.run(self._invoices_add_up())
            self.run(wait_for(self._unapplied_agrees))

    async def _invoices_add_up(self) -> None:
        due = Decimal(0)
        for invoice in await listed(self.shop.client, "/v1/invoices?archived=any"):
            settled = ("amount_due", "amount_paid", "credited_amount", "written_off_amount")
            assert money(invoice["amount"]) == sum(money(invoice[name]) for name in settled), invoice
            assert invoice["status"] == expected_status(invoice), invoice
            if invoice["status"] not in ("draft", "cancelled"):
                due += money(invoice["amount_due"])
        aging = (await self.shop.client.get("/v1/reports/aging?as_of=3000-01-01")).data
        assert money(aging["total"]["total"]) == due == await balance(self.shop.client, "1100")

    async def _unapplied_agrees(self) -> bool:
        """2200 is what payments and credit notes have left, once the events have arrived."""
        notes = await listed(self.shop.client, "/v1/credit-notes")
        payments = await listed(self.shop.client, "/v1/payments")
        left = sum(money(each["unapplied_amount"]) for each in [*notes, *payments])
        return left == -(await balance(self.shop.client, "2200"))


def expected_status(invoice: Json) -> str:
    """The status by docs/accounting.md, where the invoice alone tells it."""
    status: str = invoice["status"]
    if status in ("draft", "cancelled") or invoice["status_pinned"]:
        return status
    if invoice["amount_due"] == 0:
        return "paid"
    if status in ("in_dispute", "in_payment_plan"):
        return status
    if invoice["is_overdue"]:
        return "overdue"
    return "partial" if invoice["is_partially_paid"] else "pending"


async def listed(client: Client, path: str) -> list[Json]:
    """All rows of a list."""
    rows: list[Json] = []
    number = 1
    while True:
        answer = await client.get(f"{path}{'&' if '?' in path else '?'}per_page=100&page={number}")
        rows += answer.data
        if number >= answer.json["pagination"]["total_pages"]:
            return rows
        number += 1


@pytest_asyncio.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """The loop that the system runs in; it stands still while a test without `async` has the word."""
    return asyncio.get_running_loop()


def test_any_business_leaves_the_books_right(system: System, loop: asyncio.AbstractEventLoop) -> None:
    class BusinessOfThisSystem(Business):
        """The machine takes no arguments."""

        def __init__(self) -> None:
            super().__init__(system, loop)

    run_state_machine_as_test(
        BusinessOfThisSystem,
        settings=settings(
            max_examples=12,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
