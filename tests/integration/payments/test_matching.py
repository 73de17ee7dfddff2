"""Cash application and matching by hand, through the whole system."""

from tests.harness import Client
from tests.integration.payments.book import (
    a_customer,
    a_payment,
    an_invoice,
    invoice,
    settled,
)


async def test_a_payment_that_names_its_invoice_pays_it_by_itself_and_says_why(client: Client) -> None:
    customer = await a_customer(client)
    owed = await an_invoice(client, customer, 250)

    made = await a_payment(
        client, 250, payer_name="NORTHWIND TRADING", payer_reference=f"pmt {owed['invoice_number'].lower()}"
    )
    paid = await settled(client, made)

    assert made["status"] == "unmatched"
    assert (await invoice(client, owed))["status"] == "paid"
    (allocation,) = paid["allocations"]
    assert (allocation["rule"], allocation["matched_by"]) == ("invoice_number_and_amount", "cash_application")
    assert allocation["evidence"][0] == f"the text names {owed['invoice_number']}"
    assert paid["customer_id"] == customer["id"]
