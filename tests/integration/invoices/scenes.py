"""What the tests around invoices start from, made through the API as a client would."""

from decimal import Decimal
from typing import Any

from tests.harness import Answer, Client

Json = dict[str, Any]


async def a_customer(client: Client, **fields: Any) -> Json:
    """A customer with one contact."""
    body = {
        "company_name": "Ada Ltd",
        "contacts": [{"contact_name": "Ada", "email": "ada@example.com"}],
    }
    return made(await client.post("/v1/customers", json=body | fields))


async def an_invoice(client: Client, *, customer_id: str | None = None, **fields: Any) -> Json:
    """An issued invoice over 100.00 that is not late, unless the fields say otherwise."""
    customer_id = customer_id or (await a_customer(client))["id"]
    body: Json = {"customer_id": customer_id, "due_date": "2999-12-31"}
    if "line_items" not in fields:
        body["amount"] = 100
    return made(await client.post("/v1/invoices", json=body | fields))


async def a_payment(client: Client, invoice_id: str, amount: float) -> Json:
    """Money that was paid on an invoice."""
    return made(await client.post(f"/v1/invoices/{invoice_id}/record-payment", json={"amount": amount}))


async def the_invoice(client: Client, invoice_id: str) -> Json:
    """An invoice as it is now."""
    return found(await client.get(f"/v1/invoices/{invoice_id}"))


async def a_credit_note(client: Client, invoice_id: str, **fields: Any) -> Json:
    """A credit note against an invoice."""
    answer = await client.post(f"/v1/invoices/{invoice_id}/credit-notes", json={"reason": "Returned"} | fields)
    return made(answer)


async def balance(client: Client, code: str) -> Decimal:
    """Debit less credit of an account of the tenant."""
    accounts = found(await client.get("/v1/ledger/trial-balance"))["accounts"]
    return next(money(account["balance"]) for account in accounts if account["code"] == code)


def money(number: float) -> Decimal:
    """A JSON number as exact money."""
    return Decimal(str(number)).quantize(Decimal("0.01"))


def made(answer: Answer) -> Json:
    """The object that was created."""
    assert answer.status == 201, answer
    data: Json = answer.data
    return data


def found(answer: Answer) -> Json:
    """The object that was answered."""
    assert answer.status == 200, answer
    data: Json = answer.data
    return data


def refused(answer: Answer) -> tuple[int, str, str | None]:
    """Status, code and first field of a refusal."""
    errors = answer.json.get("errors") or [{"field": None}]
    return answer.status, answer.json["code"], errors[0]["field"]
