"""Templates over HTTP."""

from tests.harness import Client, System

OWN = {
    "name": "Ours",
    "subject": "Bill {{ invoice.number }}",
    "html": "<p>{{ customer.name }}</p>",
    "text": "{{ customer.name }}",
}


async def test_the_list_shows_what_is_fit_for_send_the_own_and_the_systems(client: Client) -> None:
    own = (await client.post("/v1/templates", json=OWN)).data
    await client.post("/v1/templates", json={**OWN, "name": "Other stage", "template_stage": "reminder"})

    listed = (await client.get("/v1/templates")).json

    assert {t["template_stage"] for t in listed["data"]} == {"initial_send"}
    assert (listed["data"][0]["id"], listed["data"][0]["is_system"]) == (own["id"], False)
    assert {t["is_system"] for t in listed["data"]} == {True, False}
    assert listed["pagination"]["total"] == 2
    assert {"id", "name", "type", "template_stage", "subject", "is_system"} <= listed["data"][0].keys()


async def test_all_stages_are_listed_by_cursor(client: Client) -> None:
    first = (await client.get("/v1/templates?template_stage=any&limit=5")).json
    rest = (
        await client.get(f"/v1/templates?template_stage=any&limit=5&after={first['pagination']['end_cursor']}")
    ).json

    stages = {t["template_stage"] for t in first["data"] + rest["data"]}
    assert stages == {
        "initial_send",
        "reminder",
        "overdue_1",
        "overdue_2",
        "overdue_3",
        "final_notice",
        "receipt",
        "statement",
        "plan_instalment",
    }


async def test_a_template_of_ones_own_is_changed_and_deleted(client: Client) -> None:
    made = await client.post("/v1/templates", json=OWN)
    path = f"/v1/templates/{made.data['id']}"

    stale = await client.patch(path, json={"name": "X"}, headers={"If-Match": '"9"'})
    changed = await client.put(
        path, json={"subject": "New {{ invoice.number }}"}, headers={"If-Match": made.headers["ETag"]}
    )
    gone = await client.delete(path)

    assert stale.status == 412
    assert (changed.data["subject"], changed.data["version"]) == ("New {{ invoice.number }}", 2)
    assert gone.json == {"success": True}
    assert (await client.get(path)).code == "template_not_found"


async def test_unknown_variables_are_refused_naming_every_field(client: Client) -> None:
    answer = await client.post("/v1/templates", json={**OWN, "subject": "{{ nope }}", "text": "{{ invoice.nope }}"})

    assert (answer.status, answer.code, answer.fields) == (422, "template_invalid", {"subject", "text"})


async def test_names_are_unique_and_the_systems_templates_stay(client: Client) -> None:
    await client.post("/v1/templates", json=OWN)
    system = next(t for t in (await client.get("/v1/templates")).data if t["is_system"])

    assert (await client.post("/v1/templates", json={**OWN, "name": "OURS"})).code == "template_name_taken"
    assert (await client.patch(f"/v1/templates/{system['id']}", json={"name": "Mine"})).code == "template_read_only"
    assert (await client.delete(f"/v1/templates/{system['id']}")).code == "template_read_only"


async def test_a_preview_shows_texts_before_they_are_saved(client: Client) -> None:
    system = (await client.get("/v1/templates")).data[0]

    shown = (
        await client.post(
            "/v1/templates/preview", json={"template_id": system["id"], "subject": "Hi {{ contact.name }}"}
        )
    ).data
    wrong = await client.post("/v1/templates/preview", json={"text": "{{ 2 ** 99999999 }}"})

    assert shown["subject"] == "Hi Kari Nordmann"
    assert "INV-2026-0042" in shown["text"]
    assert wrong.code == "template_invalid"


async def test_another_tenants_template_is_not_there(client: Client, system: System) -> None:
    made = (await client.post("/v1/templates", json=OWN)).data
    stranger = await system.client()

    assert (await stranger.get(f"/v1/templates/{made['id']}")).status == 404
    assert (await stranger.patch(f"/v1/templates/{made['id']}", json={"name": "x"})).status == 404
    assert made["id"] not in {t["id"] for t in (await stranger.get("/v1/templates")).data}


async def test_a_key_that_may_only_read_changes_nothing(client: Client, system: System) -> None:
    reader = await system.client(client.tenant_id, scopes=("invoices:read",))

    assert (await reader.get("/v1/templates")).status == 200
    assert (await reader.post("/v1/templates", json=OWN)).code == "scope_missing"


async def test_settings_are_kept_and_checked(client: Client) -> None:
    before = await client.get("/v1/settings/notifications")
    changed = await client.patch(
        "/v1/settings/notifications",
        json={"sender_name": "Fjord", "business_days": [7, 1, 1], "business_start": "08:30:00"},
        headers={"If-Match": before.headers["ETag"]},
    )

    assert before.data["daily_limit"] == 2000
    assert (changed.data["sender_name"], changed.data["business_days"], changed.data["business_start"]) == (
        "Fjord",
        [1, 7],
        "08:30:00",
    )
    refused: tuple[dict[str, object], ...] = (
        {"reply_to": "nobody"},
        {"reply_to": "a@b.example\r\nBcc: c@d.example"},
        {"daily_limit": -1},
        {"business_end": "08:00:00"},
        {"business_days": []},
        {"business_days": [8]},
        {"business_start": "09:00:00Z"},
        {"sendername": "x"},
    )
    for wrong in refused:
        assert (await client.patch("/v1/settings/notifications", json=wrong)).status == 422, wrong
