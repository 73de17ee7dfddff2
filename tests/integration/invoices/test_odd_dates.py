"""The first and the last day of the calendar are days like others."""

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import an_invoice, found, made, the_invoice


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_a_payment_at_the_end_of_the_calendar_leaves_its_invoice_readable(client: Client, day: str) -> None:
    invoice = await an_invoice(client, issue_date=day, due_date="9999-12-31")

    made(await client.post(f"/v1/invoices/{invoice['id']}/record-payment", json={"amount": 40, "date": day}))

    (payment,) = (await the_invoice(client, invoice["id"]))["payments"]
    assert payment["payment_date"] == day
    assert found(await client.get(f"/v1/reports/aging?as_of={day}"))["as_of"] == day


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_an_instalment_may_fall_on_any_day(client: Client, day: str) -> None:
    invoice = await an_invoice(client)
    body = {"invoice_ids": [invoice["id"]], "instalments": [{"due_date": day, "amount": 100}]}

    plan = made(await client.post("/v1/payment-plans", json=body))

    assert found(await client.get(f"/v1/payment-plans/{plan['id']}"))["instalments"][0]["due_date"] == day
