"""Reports through the API: each sums to the ledger, on any day, in every form."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import (
    Json,
    a_credit_note,
    a_customer,
    a_payment,
    an_invoice,
    found,
    money,
    refused,
)

UNKNOWN = "018f0000-0000-7000-8000-000000000000"  # the same in each test process


async def aging(client: Client, **query: object) -> Json:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return found(await client.get(f"/v1/reports/aging?{parameters}"))


async def receivable(client: Client, as_of: date) -> Decimal:
    accounts = found(await client.get(f"/v1/ledger/trial-balance?as_of={as_of}"))["accounts"]
    return next(money(account["balance"]) for account in accounts if account["code"] == "1100")


async def test_open_money_is_aged_by_days_late(client: Client) -> None:
    customer = await a_customer(client, company_name="Late Ltd")
    as_of = date(2026, 6, 30)
    for days_late in (0, 1, 30, 31, 60, 61, 90, 91, 400):
        due = as_of - timedelta(days_late)
        await an_invoice(client, customer_id=customer["id"], amount=10, issue_date=str(due), due_date=str(due))

    report = await aging(client, as_of=as_of)

    (row,) = report["customers"]
    assert (row["customer_id"], row["customer_name"]) == (customer["id"], "Late Ltd")
    assert [row[name] for name in ("current", "days_1_30", "days_31_60", "days_61_90", "days_over_90", "total")] == [
        10,
        20,
        20,
        20,
        20,
        90,
    ]
    assert report["total"] == {name: value for name, value in row.items() if not name.startswith("customer")}
    assert money(report["total"]["total"]) == await receivable(client, as_of)


async def test_the_aging_of_any_day_is_what_the_ledger_says_of_it(client: Client) -> None:
    first = await an_invoice(client, issue_date="2026-01-10", due_date="2026-02-10")
    await an_invoice(client, amount=70, issue_date="2026-03-05", due_date="2026-04-05")
    await an_invoice(client, amount=5, issue_date="2999-01-01", due_date="2999-02-01")
    await a_payment(client, first["id"], 100)
    last = await an_invoice(client, amount=33, issue_date="2026-05-01", due_date="2026-05-02")
    await a_credit_note(client, last["id"], amount=3)

    for day in (date(2025, 12, 31), date(2026, 1, 10), date(2026, 4, 6), date(2026, 11, 1), date(2999, 12, 31)):
        report = await aging(client, as_of=day)
        assert money(report["total"]["total"]) == await receivable(client, day), day

    assert money((await aging(client, as_of="2026-02-01"))["total"]["total"]) == Decimal(100)
    assert (await aging(client, as_of="2026-01-09"))["customers"] == []


async def test_the_sheet_says_the_same_and_runs_no_formula(client: Client) -> None:
    customer = await a_customer(client, company_name='=HYPERLINK("http://evil.example")')
    await an_invoice(client, customer_id=customer["id"])

    answer = await client.get("/v1/reports/aging?format=csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.body.decode().removeprefix("\ufeff"), newline="")))
    assert [row["total"] for row in rows] == ["100.00", "100.00"]
    assert rows[0]["customer_name"].startswith("'=HYPERLINK")


async def test_a_statement_runs_from_opening_to_closing_balance(client: Client) -> None:
    customer = await a_customer(client)
    await an_invoice(client, customer_id=customer["id"], issue_date="2026-01-10", due_date="2026-02-10")
    later = await an_invoice(client, customer_id=customer["id"], amount=50, issue_date="2026-03-05")
    await a_credit_note(client, later["id"], amount=20)
    await an_invoice(client)

    report = found(await client.get(f"/v1/reports/statement?customer_id={customer['id']}&start=2026-02-01"))

    assert money(report["opening_balance"]) == Decimal(100)
    assert [(m["kind"], money(m["charge"]), money(m["credit"]), money(m["balance"])) for m in report["movements"]] == [
        ("issue", Decimal(50), Decimal(0), Decimal(150)),
        ("credit_note", Decimal(0), Decimal(20), Decimal(130)),
    ]
    assert money(report["closing_balance"]) == Decimal(130)
    assert report["movements"][0]["invoice_number"] == later["invoice_number"]


async def test_what_a_customer_has_left_in_credit_stands_beside_the_statement(client: Client) -> None:
    invoice = await an_invoice(client)
    await a_payment(client, invoice["id"], 100)
    await a_credit_note(client, invoice["id"], amount=40)

    report = found(await client.get(f"/v1/reports/statement?customer_id={invoice['customer_id']}"))

    assert (money(report["closing_balance"]), money(report["unapplied_credit"])) == (Decimal(0), Decimal(40))


async def test_a_statement_as_a_sheet_and_as_a_document(client: Client) -> None:
    invoice = await an_invoice(client)
    path = f"/v1/reports/statement?customer_id={invoice['customer_id']}"

    sheet = await client.get(f"{path}&format=csv")
    document = await client.get(f"{path}&format=pdf")

    rows = list(csv.DictReader(io.StringIO(sheet.body.decode().removeprefix("\ufeff"), newline="")))
    assert [(row["kind"], row["balance"]) for row in rows] == [
        ("opening", "0.00"),
        ("issue", "100.00"),
        ("closing", "100.00"),
    ]
    assert document.headers["Content-Type"] == "application/pdf"
    assert document.body.startswith(b"%PDF-")


async def test_days_sales_outstanding_of_twelve_months(client: Client) -> None:
    await an_invoice(client)

    months = (await client.get("/v1/reports/dso")).data

    assert len(months) == 12
    assert money(months[-1]["receivable"]) == money(months[-1]["billed"]) == Decimal(100)
    assert 1 <= months[-1]["dso_days"] <= 31  # all that was billed is still owed: the days of the month so far
    assert months[0] == {"month": months[0]["month"], "dso_days": 0, "receivable": 0, "billed": 0}
    assert (await client.get("/v1/reports/dso?format=csv")).body.decode().count("\r\n") == 13


async def test_a_void_takes_back_what_was_billed(client: Client) -> None:
    invoice = await an_invoice(client)
    found(await client.post(f"/v1/invoices/{invoice['id']}/void"))

    last = (await client.get("/v1/reports/dso")).data[-1]

    assert (last["billed"], last["receivable"]) == (0, 0)
    assert (await aging(client))["customers"] == []


async def test_another_currency_is_a_report_of_its_own(client: Client) -> None:
    await an_invoice(client)

    assert (await aging(client, currency="EUR"))["customers"] == []
    assert (await aging(client))["currency"] == "USD"


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("aging?as_of=yesterday", (400, "invalid_query", "as_of")),
        ("aging?format=xml", (400, "invalid_query", "format")),
        ("aging?asof=2026-01-01", (400, "invalid_query", "asof")),
        ("aging?currency=usd", (400, "invalid_query", "currency")),
        ("statement", (400, "invalid_query", "customer_id")),
        ("statement?customer_id=x", (400, "invalid_query", "customer_id")),
        (f"statement?customer_id={UNKNOWN}", (404, "statement_customer_not_found", None)),
        (f"statement?customer_id={UNKNOWN}&start=2026-02-01&end=2026-01-01", (400, "invalid_query", "end")),
        ("dso?format=pdf", (400, "invalid_query", "format")),
    ],
)
async def test_a_report_is_refused(client: Client, path: str, refusal: tuple[int, str, str | None]) -> None:
    assert refused(await client.get(f"/v1/reports/{path}")) == refusal
