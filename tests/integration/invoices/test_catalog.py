"""Products, tax rates and accounts through the API: CRUD, archiving what is used, and every refusal."""

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import Client
from tests.integration.invoices.scenes import Json, an_invoice, found, made, refused

UNKNOWN = "018f0000-0000-7000-8000-000000000000"  # the same in each test process
SYSTEM = {"1000", "1090", "1100", "2100", "2200", "4000", "4100", "4200", "4300", "6100"}


async def a_product(client: Client, **fields: Any) -> Json:
    return made(await client.post("/v1/products", json={"name": "Consulting", "unit_price": 120.5} | fields))


async def a_tax_rate(client: Client, **fields: Any) -> Json:
    return made(await client.post("/v1/tax-rates", json={"name": "VAT", "rate": 0.2} | fields))


async def an_account(client: Client, **fields: Any) -> Json:
    body = {"code": "4010", "name": "Services", "type": "income"}
    return made(await client.post("/v1/ledger/accounts", json=body | fields))


async def test_a_product_is_kept_changed_and_removed(client: Client) -> None:
    account, rate = await an_account(client), await a_tax_rate(client)
    product = await a_product(client, account_id=account["id"], tax_rate_id=rate["id"], unit="hour")
    path = f"/v1/products/{product['id']}"

    changed = found(await client.patch(path, json={"unit_price": 0.000001, "unit": None}))

    assert (changed["unit_price"], changed["unit"], changed["name"]) == (Decimal("0.000001"), None, "Consulting")
    assert changed["version"] == product["version"] + 1
    assert found(await client.get(path)) == changed
    assert (await client.delete(path)).json == {"success": True}
    assert refused(await client.get(path)) == (404, "product_not_found", None)


async def test_put_means_patch(client: Client) -> None:
    product = await a_product(client, unit="hour")

    changed = found(await client.put(f"/v1/products/{product['id']}", json={"name": "Advice"}))

    assert (changed["name"], changed["unit"]) == ("Advice", "hour")


async def test_a_product_on_an_invoice_is_archived(client: Client) -> None:
    product = await a_product(client)
    await an_invoice(client, line_items=[{"description": "Advice", "product_id": product["id"]}])
    path = f"/v1/products/{product['id']}"

    assert (await client.delete(path)).json == {"success": True}

    assert found(await client.get(path))["archived_at"]
    assert (await client.get("/v1/products")).data == []
    assert [p["id"] for p in (await client.get("/v1/products?archived=any")).data] == [product["id"]]
    assert refused(await client.patch(path, json={"name": "x"})) == (409, "product_archived", None)


async def test_products_are_found_by_part_of_their_name(client: Client) -> None:
    product = await a_product(client, name="Deep 100% Consulting")
    await a_product(client, name="Hosting")

    for search in ("consult", "100%25", "DEEP"):
        assert [p["id"] for p in (await client.get(f"/v1/products?search={search}")).data] == [product["id"]]
    assert (await client.get("/v1/products?search=%25")).json["pagination"]["total"] == 1


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (422, "validation_failed", "name")),
        ({"name": ""}, (422, "validation_failed", "name")),
        ({"name": " "}, (422, "validation_failed", "name")),
        ({"name": "x" * 201}, (422, "validation_failed", "name")),
        ({"name": "x", "unit_price": 1.0000001}, (422, "validation_failed", "unit_price")),
        ({"name": "x", "unit_price": "1"}, (422, "validation_failed", "unit_price")),
        ({"name": "x", "taxable": "yes"}, (422, "validation_failed", "taxable")),
        ({"name": "x", "prize": 1}, (422, "validation_failed", "prize")),
        ({"name": "x", "account_id": UNKNOWN}, (404, "account_not_found", "account_id")),
        ({"name": "x", "tax_rate_id": UNKNOWN}, (404, "tax_rate_not_found", "tax_rate_id")),
    ],
)
async def test_a_product_is_refused(client: Client, body: Json, refusal: tuple[int, str, str]) -> None:
    assert refused(await client.post("/v1/products", json=body)) == refusal


async def test_a_required_name_cannot_be_cleared(client: Client) -> None:
    product = await a_product(client)

    answer = await client.patch(f"/v1/products/{product['id']}", json={"name": None})

    assert refused(answer) == (422, "validation_failed", "name")


@pytest.mark.parametrize("method", ["patch", "delete"])
@pytest.mark.parametrize("kind", ["products", "tax-rates", "ledger/accounts"])
async def test_an_edit_of_an_older_version_is_refused(client: Client, kind: str, method: str) -> None:
    make = {"products": a_product, "tax-rates": a_tax_rate, "ledger/accounts": an_account}[kind]
    path = f"/v1/{kind}/{(await make(client))['id']}"
    seen = (await client.get(path)).headers["ETag"]
    found(await client.patch(path, json={"name": "Changed meanwhile"}))

    body = {"json": {"name": "Mine"}} if method == "patch" else {}
    answer = await getattr(client, method)(path, headers={"If-Match": seen}, **body)

    assert refused(answer)[:2] == (412, "precondition_failed")
    assert found(await client.get(path))["name"] == "Changed meanwhile"


async def test_a_tax_rate_is_kept_changed_and_removed(client: Client) -> None:
    rate = await a_tax_rate(client, rate=0.09975)
    path = f"/v1/tax-rates/{rate['id']}"

    changed = found(await client.patch(path, json={"rate": 1}))

    assert (rate["rate"], changed["rate"], changed["name"]) == (Decimal("0.09975"), 1, "VAT")
    assert (await client.delete(path)).json == {"success": True}
    assert refused(await client.get(path)) == (404, "tax_rate_not_found", None)


async def test_a_tax_rate_that_was_used_is_archived_and_its_invoice_unchanged(client: Client) -> None:
    rate = await a_tax_rate(client)
    lines = [{"description": "Work", "line_amount": 100}]
    invoice = await an_invoice(client, line_items=lines, tax_rate_ids=[rate["id"]])
    path = f"/v1/tax-rates/{rate['id']}"
    found(await client.patch(path, json={"rate": 0.5}))

    assert (await client.delete(path)).json == {"success": True}

    assert found(await client.get(path))["archived_at"]
    assert refused(await client.patch(path, json={"rate": 0.1})) == (409, "tax_rate_archived", None)
    assert found(await client.get(f"/v1/invoices/{invoice['id']}"))["tax_amount"] == 20


async def test_a_tax_rate_of_a_product_is_archived(client: Client) -> None:
    rate = await a_tax_rate(client)
    await a_product(client, tax_rate_id=rate["id"])

    await client.delete(f"/v1/tax-rates/{rate['id']}")

    assert found(await client.get(f"/v1/tax-rates/{rate['id']}"))["archived_at"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rate": 0.2}, "name"),
        ({"name": "x"}, "rate"),
        ({"name": "x", "rate": 1.000001}, "rate"),
        ({"name": "x", "rate": -0.1}, "rate"),
        ({"name": "x", "rate": 0.1234567}, "rate"),
        ({"name": "x", "rate": "0.2"}, "rate"),
    ],
)
async def test_a_tax_rate_is_refused(client: Client, body: Json, field: str) -> None:
    assert refused(await client.post("/v1/tax-rates", json=body)) == (422, "validation_failed", field)


async def test_the_systems_accounts_are_there_from_the_start(client: Client) -> None:
    accounts = (await client.get("/v1/ledger/accounts?per_page=100")).data

    assert {account["code"] for account in accounts} == SYSTEM
    assert all(account["is_system"] for account in accounts)


async def test_an_account_is_kept_changed_and_removed(client: Client) -> None:
    account = await an_account(client)
    path = f"/v1/ledger/accounts/{account['id']}"

    changed = found(await client.patch(path, json={"code": "4020", "type": "expense"}))

    assert (changed["code"], changed["type"], changed["is_system"]) == ("4020", "expense", False)
    assert (await client.delete(path)).json == {"success": True}
    assert refused(await client.get(path)) == (404, "account_not_found", None)


async def test_an_account_with_postings_keeps_its_type_and_is_archived(client: Client) -> None:
    account = await an_account(client)
    lines = [{"description": "Work", "line_amount": 100, "account_id": account["id"]}]
    await an_invoice(client, line_items=lines)
    path = f"/v1/ledger/accounts/{account['id']}"

    assert refused(await client.patch(path, json={"type": "asset"})) == (409, "account_in_use", "type")
    assert (await client.delete(path)).json == {"success": True}
    assert found(await client.get(path))["archived_at"]
    assert refused(await client.patch(path, json={"name": "x"})) == (409, "account_archived", None)
    balances = found(await client.get("/v1/ledger/trial-balance"))["accounts"]
    assert next(each["balance"] for each in balances if each["code"] == "4010") == -100


async def test_a_system_account_may_only_be_renamed(client: Client) -> None:
    accounts = (await client.get("/v1/ledger/accounts?per_page=100")).data
    path = f"/v1/ledger/accounts/{next(each['id'] for each in accounts if each['code'] == '1000')}"

    assert found(await client.patch(path, json={"name": "First Bank"}))["name"] == "First Bank"
    assert refused(await client.patch(path, json={"code": "1001"})) == (409, "system_account", "code")
    assert refused(await client.patch(path, json={"type": "income"})) == (409, "system_account", "type")
    assert refused(await client.delete(path)) == (409, "system_account", None)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"code": "1100"}, (409, "account_code_taken", "code")),
        ({"code": ""}, (422, "validation_failed", "code")),
        ({"code": "40 10"}, (422, "validation_failed", "code")),
        ({"code": "4010\n"}, (422, "validation_failed", "code")),
        ({"name": ""}, (422, "validation_failed", "name")),
        ({"type": "revenue"}, (422, "validation_failed", "type")),
        ({"is_system": True}, (422, "validation_failed", "is_system")),
    ],
)
async def test_an_account_is_refused(client: Client, fields: Json, refusal: tuple[int, str, str]) -> None:
    body = {"code": "4010", "name": "Services", "type": "income"} | fields

    assert refused(await client.post("/v1/ledger/accounts", json=body)) == refusal


async def test_an_account_cannot_take_the_code_of_another(client: Client) -> None:
    account = await an_account(client)

    answer = await client.patch(f"/v1/ledger/accounts/{account['id']}", json={"code": "4000"})

    assert refused(answer) == (409, "account_code_taken", "code")


async def test_accounts_are_found_by_type(client: Client) -> None:
    accounts = (await client.get("/v1/ledger/accounts?type=liability&sort=code")).data

    assert [account["code"] for account in accounts] == ["2100", "2200"]
