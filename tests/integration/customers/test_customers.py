"""Customers and contacts over HTTP."""

import asyncio

import pytest

from tests.harness import Answer, Client, System, wait_for


def a_contact(name: str = "Ada", **fields: object) -> dict[str, object]:
    return {"contact_name": name, "email": f"{name.lower()}@example.com", **fields}


async def a_customer(client: Client, **fields: object) -> dict[str, object]:
    body = {"company_name": "Acme", "contacts": [a_contact()], **fields}
    made: dict[str, object] = (await client.post("/v1/customers", json=body)).data
    return made


def primaries(customer: dict[str, object]) -> list[str]:
    contacts = customer["contacts"]
    assert isinstance(contacts, list)
    return [contact["contact_name"] for contact in contacts if contact["is_primary"]]


async def test_a_customer_comes_back_as_it_was_made(client: Client) -> None:
    made = await a_customer(
        client, customer_id="ACME-1", address="1 Road", timezone="Europe/Berlin", payment_terms_days=14, tags=["vip"]
    )

    answer = await client.get(f"/v1/customers/{made['id']}")

    assert answer.data == made
    assert answer.headers["ETag"] == '"1"'
    assert (made["customer_id"], made["payment_terms_days"]) == ("ACME-1", 14)
    assert primaries(made) == ["Ada"]


async def test_a_customer_id_is_made_up_where_none_is_given_and_cannot_be_used_twice(client: Client) -> None:
    first = await a_customer(client)
    assert first["customer_id"]

    again = await client.post(
        "/v1/customers", json={"company_name": "B", "customer_id": first["customer_id"], "contacts": [a_contact()]}
    )

    assert (again.status, again.code, again.fields) == (409, "customer_id_taken", {"customer_id"})


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    answer = await client.post(
        "/v1/customers",
        json={
            "company_nam": "x",
            "timezone": "Mars/Olympus",
            "contacts": [{"email": "nobody"}],
            "payment_terms_days": -1,
        },
    )

    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.fields == {
        "company_name",
        "company_nam",
        "timezone",
        "payment_terms_days",
        "contacts[0].email",
    }


async def test_a_contact_without_name_or_email_is_refused(client: Client) -> None:
    answer = await client.post("/v1/customers", json={"company_name": "A", "contacts": [{"phone": "1"}]})

    assert answer.fields == {"contacts[0].contact_name", "contacts[0].email"}


async def test_a_customer_needs_a_contact(client: Client) -> None:
    assert (await client.post("/v1/customers", json={"company_name": "A", "contacts": []})).fields == {"contacts"}


async def test_exactly_one_contact_is_primary_whatever_happens(client: Client) -> None:
    customer = await a_customer(client, contacts=[a_contact("Ada"), a_contact("Bob", is_primary=True)])
    assert primaries(customer) == ["Bob"]
    path = f"/v1/customers/{customer['id']}"
    ids = {contact["contact_name"]: contact["id"] for contact in customer["contacts"]}  # type: ignore[attr-defined]

    changed = (await client.patch(path, json={"contacts": [{"id": ids["Ada"], "is_primary": True}]})).data
    assert primaries(changed) == ["Ada"]

    changed = (await client.patch(path, json={"delete_contact_ids": [ids["Ada"]]})).data
    assert primaries(changed) == ["Bob"]

    changed = (await client.patch(path, json={"contacts": [{"id": ids["Bob"], "is_primary": False}]})).data
    assert primaries(changed) == ["Bob"]


async def test_two_primary_contacts_in_one_request_are_refused(client: Client) -> None:
    contacts = [a_contact("Ada", is_primary=True), a_contact("Bob", is_primary=True)]
    answer = await client.post("/v1/customers", json={"company_name": "A", "contacts": contacts})

    assert (answer.status, answer.code) == (422, "several_primary_contacts")


async def test_contacts_in_an_update_are_upserts(client: Client) -> None:
    customer = await a_customer(client, contacts=[a_contact("Ada"), a_contact("Bob")])
    ada = customer["contacts"][0]  # type: ignore[index]

    changed = (
        await client.put(
            f"/v1/customers/{customer['id']}",
            json={"contacts": [{"id": ada["id"], "phone": "+49 1"}, a_contact("Cyd")]},
        )
    ).data

    assert [(c["contact_name"], c["phone"]) for c in changed["contacts"]] == [
        ("Ada", "+49 1"),
        ("Bob", None),
        ("Cyd", None),
    ]


async def test_an_unknown_contact_in_an_update_is_named(client: Client) -> None:
    customer = await a_customer(client)
    other = await a_customer(client)
    foreign = other["contacts"][0]["id"]  # type: ignore[index]

    answer = await client.patch(f"/v1/customers/{customer['id']}", json={"contacts": [{"id": foreign, "phone": "1"}]})

    assert (answer.status, answer.code, answer.fields) == (404, "contact_not_found", {"contacts[0].id"})


async def test_null_clears_and_absent_stays(client: Client) -> None:
    customer = await a_customer(client, address="1 Road", payment_terms_days=14)

    changed = (await client.patch(f"/v1/customers/{customer['id']}", json={"address": None})).data

    assert (changed["address"], changed["payment_terms_days"], changed["version"]) == (None, 14, 2)


async def test_a_change_based_on_an_old_version_is_refused(client: Client) -> None:
    customer = await a_customer(client)
    path = f"/v1/customers/{customer['id']}"
    await client.patch(path, json={"company_name": "New"})

    stale = await client.patch(path, json={"company_name": "Old"}, headers={"If-Match": '"1"'})
    fresh = await client.patch(path, json={"company_name": "Newer"}, headers={"If-Match": '"2"'})

    assert (stale.status, stale.code) == (412, "precondition_failed")
    assert fresh.data["company_name"] == "Newer"


async def test_contacts_have_a_life_of_their_own(client: Client) -> None:
    customer = await a_customer(client)
    made = (await client.post("/v1/contacts", json={"customer_id": customer["id"], **a_contact("Bob")})).data

    await client.patch(f"/v1/contacts/{made['id']}", json={"title": "CFO"})
    listed = await client.get(f"/v1/contacts?customer_id={customer['id']}&sort=contact_name")
    assert [(c["contact_name"], c["title"]) for c in listed.data] == [("Ada", None), ("Bob", "CFO")]

    assert (await client.delete(f"/v1/contacts/{made['id']}")).json == {"success": True}
    assert (await client.get(f"/v1/contacts/{made['id']}")).code == "contact_not_found"


async def test_the_last_contact_stays(client: Client) -> None:
    customer = await a_customer(client)
    contact = customer["contacts"][0]["id"]  # type: ignore[index]

    answer = await client.delete(f"/v1/contacts/{contact}")

    assert (answer.status, answer.code) == (409, "last_contact")


async def test_listing_contacts_needs_a_customer(client: Client) -> None:
    answer = await client.get("/v1/contacts")

    assert (answer.status, answer.code, answer.fields) == (400, "invalid_query", {"customer_id"})


async def test_search_looks_into_names_and_customer_ids_and_takes_wildcards_literally(client: Client) -> None:
    await a_customer(client, company_name="100% Pure", customer_id="P-1")
    await a_customer(client, company_name="Other", customer_id="O-1")

    async def found(text: str) -> list[str]:
        return [c["company_name"] for c in (await client.get("/v1/customers", params={"search": text})).data]

    assert await found("pure") == ["100% Pure"]
    assert await found("o-1") == ["Other"]
    assert await found("%") == ["100% Pure"]
    assert await found("_") == []


async def test_pages_and_cursors_show_the_same_list(client: Client) -> None:
    for index in range(7):
        await a_customer(client, company_name=f"Company {index}")

    by_page = [await client.get(f"/v1/customers?page={page}&per_page=3") for page in (1, 2, 3)]
    by_cursor = await read_by_cursor(client, "/v1/customers?limit=3")

    assert [c["id"] for page in by_page for c in page.data] == by_cursor
    assert by_page[0].json["pagination"] == {"page": 1, "per_page": 3, "total": 7, "total_pages": 3}


async def read_by_cursor(client: Client, path: str) -> list[str]:
    ids: list[str] = []
    cursor = ""
    while True:
        answer: Answer = await client.get(path + cursor)
        ids += [row["id"] for row in answer.data]
        if not answer.json["pagination"]["has_next_page"]:
            return ids
        cursor = f"&after={answer.json['pagination']['end_cursor']}"


async def test_cursors_do_not_move_while_rows_are_inserted(client: Client) -> None:
    for index in range(4):
        await a_customer(client, company_name=f"Company {index}")
    first = await client.get("/v1/customers?limit=2")
    await a_customer(client, company_name="Newcomer")

    second = await client.get(f"/v1/customers?limit=2&after={first.json['pagination']['end_cursor']}")
    back = await client.get(f"/v1/customers?limit=2&before={second.json['pagination']['start_cursor']}")

    assert [c["company_name"] for c in second.data] == ["Company 1", "Company 0"]
    assert back.data == first.data


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=1&limit=2", "page"),
        ("page=0", "page"),
        ("per_page=101", "per_page"),
        ("sort=shoe_size", "sort"),
        ("order=up", "order"),
        ("after=nonsense", "after"),
        ("tag_id=x", "tag_id"),
        ("colour=red", "colour"),
        ("page=1&page=2", "page"),
        ("search=%00", "search"),
    ],
)
async def test_a_bad_query_is_refused_and_named(client: Client, query: str, field: str) -> None:
    answer = await client.get(f"/v1/customers?{query}")

    assert (answer.status, answer.fields) == (400, {field})


async def test_another_tenants_customer_does_not_exist(client: Client, system: System) -> None:
    customer = await a_customer(client)
    stranger = await system.client()

    path = f"/v1/customers/{customer['id']}"
    answers = [
        await stranger.get(path),
        await stranger.patch(path, json={"company_name": "Mine"}),
        await stranger.delete(path),
        await stranger.get(f"/v1/contacts?customer_id={customer['id']}"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "customer_not_found")] * 4
    assert (await stranger.get("/v1/customers")).data == []


async def test_a_customer_with_nothing_open_is_deleted_everywhere(client: Client) -> None:
    customer = await a_customer(client)

    assert (await client.delete(f"/v1/customers/{customer['id']}")).json == {"success": True}

    assert (await client.get(f"/v1/customers/{customer['id']}")).status == 404


async def test_open_invoices_keep_a_customer_unless_it_is_forced(client: Client) -> None:
    customer = await a_customer(client)
    invoice = (await client.post("/v1/invoices", json={"customer_id": customer["id"], "amount": 100})).data

    kept = await client.delete(f"/v1/customers/{customer['id']}")
    assert (kept.status, kept.code) == (409, "customer_has_open_balance")

    assert (await client.delete(f"/v1/customers/{customer['id']}?force=true")).status == 200

    async def invoice_is_gone() -> bool:
        return (await client.get(f"/v1/invoices/{invoice['id']}")).status == 404

    await wait_for(invoice_is_gone)


async def test_tags_count_their_customers(client: Client) -> None:
    customers = [await a_customer(client) for _ in range(3)]
    tag = (await client.post("/v1/tags", json={"name": "VIP", "color": "#ff0000"})).data
    ids = [customer["id"] for customer in customers]

    assigned = await client.post(f"/v1/tags/{tag['id']}/customers", json={"customer_ids": ids[:2]})
    again = await client.post(f"/v1/tags/{tag['id']}/customers", json={"customer_ids": ids})

    assert (assigned.json["assigned"], again.json["assigned"]) == (2, 1)
    assert (await client.get("/v1/tags")).data[0]["customer_count"] == 3
    assert (await client.get(f"/v1/tags/{tag['id']}")).data["customer_ids"] == sorted(str(i) for i in ids)
    assert (await client.get(f"/v1/customers?tag_id={tag['id']}")).json["pagination"]["total"] == 3

    removed = await client.delete(f"/v1/tags/{tag['id']}/customers", json={"customer_ids": ids[:1]})
    assert removed.json == {"success": True}
    assert (await client.get(f"/v1/customers/{ids[0]}")).data["tags"] == []


async def test_tags_change_in_bulk_or_not_at_all(client: Client) -> None:
    customers = [await a_customer(client, tags=["old"]) for _ in range(2)]
    ids = [customer["id"] for customer in customers]
    old = customers[0]["tags"][0]["id"]  # type: ignore[index]
    new = (await client.post("/v1/tags", json={"name": "new"})).data["id"]

    body = {"customer_ids": ids, "add_tag_ids": [new], "remove_tag_ids": [old]}
    refused = await client.post("/v1/tags/bulk", json={**body, "customer_ids": [*ids, new]})
    assert (refused.code, refused.fields) == ("customer_not_found", {"customer_ids[2]"})

    assert (await client.post("/v1/tags/bulk", json=body)).json["customers_updated"] == 2
    assert [t["name"] for t in (await client.get(f"/v1/customers/{ids[0]}")).data["tags"]] == ["new"]


async def test_tag_names_are_unique_whatever_their_capitals(client: Client) -> None:
    await client.post("/v1/tags", json={"name": "VIP"})

    answer = await client.post("/v1/tags", json={"name": "vip"})

    assert (answer.status, answer.code, answer.fields) == (409, "tag_name_taken", {"name"})


async def test_tags_of_an_update_are_names_or_ids_and_replace_all(client: Client) -> None:
    customer = await a_customer(client, tags=["one", "two"])
    two = next(tag["id"] for tag in customer["tags"] if tag["name"] == "two")  # type: ignore[attr-defined]

    changed = (await client.patch(f"/v1/customers/{customer['id']}", json={"tags": [two, "three"]})).data

    assert [tag["name"] for tag in changed["tags"]] == ["three", "two"]


async def test_renaming_a_tag_changes_its_customers_and_says_so(client: Client) -> None:
    customer = await a_customer(client, tags=["old"])
    tag = customer["tags"][0]["id"]  # type: ignore[index]

    await client.patch(f"/v1/tags/{tag}", json={"name": "new"})

    after = (await client.get(f"/v1/customers/{customer['id']}")).data
    assert (after["tags"][0]["name"], after["version"]) == ("new", 2)


async def test_ten_changes_at_once_are_ten_versions(client: Client) -> None:
    customer = await a_customer(client)
    path = f"/v1/customers/{customer['id']}"

    await asyncio.gather(*(client.patch(path, json={"address": f"{index} Road"}) for index in range(10)))

    assert (await client.get(path)).data["version"] == 11
