"""The API of webhooks, deliveries and the event log."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.ids import uuid7
from tests.harness import Client, wait_for
from tests.integration.webhooks.house import House, a_webhook, an_event, delivered, deliveries
from tests.integration.webhooks.receiver import Receiver, respond


@pytest.fixture
async def strict(strict_house: House) -> Client:
    """A client of a system that only sends to public https addresses."""
    return await strict_house.client()


async def test_a_webhook_is_made_with_defaults_and_shows_its_secret_only_then(strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/hook", description="ours")
    read = (await strict.get(f"/v1/webhooks/{made['id']}")).data

    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["*"]
    assert (made["is_active"], made["ordered"], made["timeout_seconds"]) == (True, False, 15)
    assert "secret" not in read
    assert {**read, "secret": made["secret"]} == made
    assert read["last_24_hours"] == {"delivered": 0, "failed": 0, "success_rate": None}
    listed = (await strict.get("/v1/webhooks")).json
    assert listed["data"] == [read]
    assert listed["pagination"]["total"] == 1


async def test_header_values_are_not_shown_again(strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/", headers={"X-Token": "very secret"})

    assert made["headers"] == {"X-Token": "***"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "https://0x7f.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://example.com/", "events": []}, "events"),
        ({"url": "https://example.com/", "events": ["invoice.exploded"]}, "events[0]"),
        ({"url": "https://example.com/", "events": ["invoice.created", "nothing.*"]}, "events[1]"),
        ({"url": "https://example.com/", "events": ["communication.requested"]}, "events[0]"),
        ({"url": "https://example.com/", "timeout_seconds": 31}, "timeout_seconds"),
        ({"url": "https://example.com/", "rate_limit_per_second": 0}, "rate_limit_per_second"),
        ({"url": "https://example.com/", "headers": {"Webhook-Id": "1"}}, "headers.Webhook-Id"),
        ({"url": "https://example.com/", "headers": {"Connection": "close"}}, "headers.Connection"),
        ({"url": "https://example.com/", "headers": {"Content-Type": "text/plain"}}, "headers.Content-Type"),
        ({"url": "https://example.com/", "headers": {"Traceparent": "00-1"}}, "headers.Traceparent"),
        ({"url": "https://example.com/", "headers": {"X-A": "b\r\nX-C: d"}}, "headers.X-A"),
        ({"url": "https://example.com/", "headers": {"X A": "b"}}, "headers.X A"),
        ({"url": "https://example.com/", "colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_about_a_new_webhook_is_named(strict: Client, body: dict[str, object], field: str) -> None:
    answer = await strict.post("/v1/webhooks", json=body)

    assert answer.status == 422, answer.body
    assert field in answer.fields


@pytest.mark.parametrize("pattern", ["*", "invoice.*", "payment_plan.*", "customer.deleted", "webhook.test"])
async def test_types_and_patterns_may_be_subscribed_to(strict: Client, pattern: str) -> None:
    assert (await a_webhook(strict, "https://example.com/", events=[pattern]))["events"] == [pattern]


async def test_a_webhook_is_changed_by_patch_or_put_and_the_stale_change_is_refused(strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/hook", headers={"X-A": "1"}, rate_limit_per_second=5)
    path = f"/v1/webhooks/{made['id']}"
    etag = (await strict.get(path)).headers["ETag"]

    changed = await strict.patch(path, json={"description": "new", "headers": None}, headers={"If-Match": etag})
    assert (changed.data["description"], changed.data["headers"]) == ("new", {})
    assert changed.data["rate_limit_per_second"] == 5
    assert (await strict.put(path, json={"rate_limit_per_second": None})).data["rate_limit_per_second"] is None
    assert (await strict.patch(path, json={"ordered": True}, headers={"If-Match": etag})).status == 412
    assert (await strict.patch(path, json={"url": "https://10.0.0.1/"})).status == 422
    assert (await strict.patch(path, json={"events": []})).status == 422


async def test_the_webhook_of_another_tenant_does_not_exist(strict_house: House, strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/hook")
    stranger = await strict_house.client()
    path = f"/v1/webhooks/{made['id']}"

    answers = [
        await stranger.get(path),
        await stranger.patch(path, json={"is_active": False}),
        await stranger.delete(path),
        await stranger.post(f"{path}/test"),
        await stranger.post(f"{path}/rotate-secret"),
        await stranger.get(f"{path}/deliveries"),
        await stranger.post(f"{path}/replay", json={"since": "2026-01-01T00:00:00Z"}),
        await stranger.post(f"{path}/deliveries/{uuid7()}/redeliver"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "webhook_not_found")] * len(answers)


async def test_scopes_are_needed(strict_house: House) -> None:
    reader = await strict_house.client(scopes=("webhooks:read",))
    other = await strict_house.client(scopes=("invoices",))

    assert (await reader.get("/v1/webhooks")).status == 200
    assert (await reader.post("/v1/webhooks", json={"url": "https://example.com/"})).status == 403
    assert (await other.get("/v1/events")).status == 403


async def test_a_webhook_that_is_off_is_not_tested(strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/hook", is_active=False)

    answer = await strict.post(f"/v1/webhooks/{made['id']}/test")

    assert (answer.status, answer.code) == (409, "webhook_disabled")


async def test_secrets_and_header_values_are_not_readable_in_the_database(strict_house: House, strict: Client) -> None:
    made = await a_webhook(strict, "https://example.com/", headers={"X-Token": "very secret"})

    row = await strict_house.fetchval("select endpoints::text from endpoints")

    for hidden in (made["secret"], made["secret"].removeprefix("whsec_"), "very secret"):
        assert hidden not in row
        assert hidden.encode().hex() not in row


async def test_deliveries_are_filtered_and_paged(house: House, client: Client, receiver: Receiver) -> None:
    webhook = await a_webhook(client, receiver.url())
    await house.announce(*(an_event(client.tenant_id) for _ in range(5)), an_event(client.tenant_id, "invoice.paid"))
    await delivered(client, webhook["id"], "delivered", 6)

    path = f"/v1/webhooks/{webhook['id']}/deliveries"
    first = (await client.get(f"{path}?limit=4")).json
    rest = (await client.get(f"{path}?limit=4&after={first['pagination']['end_cursor']}")).json

    assert len(first["data"]) == 4
    assert len({row["id"] for row in first["data"] + rest["data"]}) == 6
    assert len(await deliveries(client, webhook["id"], "?event_type=invoice.paid")) == 1
    assert await deliveries(client, webhook["id"], "?status=failed,pending") == []
    assert (await client.get(f"{path}?status=lost")).status == 400


async def test_the_counts_of_24_hours_are_in_the_answer(house: House, client: Client, receiver: Receiver) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500), respond(200))
    await house.announce(an_event(client.tenant_id))
    await delivered(client, webhook["id"], "retrying")
    await house.announce(an_event(client.tenant_id), an_event(client.tenant_id), an_event(client.tenant_id))
    await delivered(client, webhook["id"], "delivered", 3)

    read = (await client.get(f"/v1/webhooks/{webhook['id']}")).data

    assert read["last_24_hours"] == {"delivered": 3, "failed": 1, "success_rate": 0.75} or (
        read["last_24_hours"]["delivered"] == 4  # the retry of the first came already
    )
    assert read["last_success_at"] is not None


async def test_one_delivery_is_delivered_again(house: House, client: Client, receiver: Receiver) -> None:
    webhook = await a_webhook(client, receiver.url())
    event = an_event(client.tenant_id)
    await house.announce(event)
    [delivery] = await delivered(client, webhook["id"], "delivered")

    answer = await client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/redeliver")
    await receiver.wait_for(lambda: len(receiver.posts) == 2)
    await house.nothing_queued()

    assert answer.json == {"queued": 1}
    assert receiver.per_event() == {str(event.id): 2}
    [delivery] = await delivered(client, webhook["id"], "delivered")
    assert [attempt["attempt"] for attempt in delivery["attempts"]] == [1, 2]
    unknown = await client.post(f"/v1/webhooks/{webhook['id']}/deliveries/{uuid7()}/redeliver")
    assert (unknown.status, unknown.code) == (404, "delivery_not_found")


async def test_a_replay_brings_what_a_webhook_missed_and_nothing_outside_the_range(
    house: House, client: Client, receiver: Receiver
) -> None:
    for event_type in ("invoice.created", "invoice.paid", "customer.created"):
        await house.announce(an_event(client.tenant_id, event_type))
    await logged(client, 3)
    webhook = await a_webhook(client, receiver.url(), events=["invoice.*"])
    path = f"/v1/webhooks/{webhook['id']}/replay"
    hour = timedelta(hours=1)
    now = datetime.now(UTC)

    before = {"since": (now - 2 * hour).isoformat(), "until": (now - hour).isoformat()}
    assert (await client.post(path, json=before)).json == {"queued": 0}
    assert (await client.post(path, json={"since": (now - hour).isoformat()})).json == {"queued": 2}
    await delivered(client, webhook["id"], "delivered", 2)
    only_paid = {"since": (now - hour).isoformat(), "events": ["invoice.paid"]}
    assert (await client.post(path, json=only_paid)).json == {"queued": 1}
    await receiver.wait_for(lambda: len(receiver.posts) == 3)

    backwards = {"since": now.isoformat(), "until": (now - hour).isoformat()}
    assert (await client.post(path, json=backwards)).code == "replay_backwards"


async def test_a_replay_of_what_failed_leaves_alone_what_did_not(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    await house.announce(an_event(client.tenant_id), an_event(client.tenant_id))
    await delivered(client, webhook["id"], "delivered", 2)
    failed = receiver.posts[0].event_id
    await house.execute("update deliveries set status = 'failed' where event_id = $1", failed)

    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    answer = await client.post(f"/v1/webhooks/{webhook['id']}/replay", json={"since": since, "failed_only": True})
    await receiver.wait_for(lambda: len(receiver.posts) == 3)

    assert answer.json == {"queued": 1}
    assert receiver.posts[2].event_id == failed


async def logged(client: Client, count: int) -> list[dict[str, object]]:
    async def found() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = (await client.get("/v1/events")).data
        return rows if len(rows) >= count else []

    return await wait_for(found)


async def test_the_event_log_shows_a_tenant_s_public_events(house: House, client: Client) -> None:
    stranger = await house.client()
    first, second = an_event(client.tenant_id), an_event(client.tenant_id, "payment.created")
    hidden = an_event(client.tenant_id, "communication.requested")
    await house.announce(first, hidden, second, an_event(stranger.tenant_id))

    rows = await logged(client, 2)

    assert [row["id"] for row in rows] == [str(second.id), str(first.id)]
    assert set(rows[0]) == {"id", "type", "timestamp", "data"}
    assert (await client.get(f"/v1/events/{first.id}")).data == rows[1]
    assert (await client.get(f"/v1/events/{hidden.id}")).code == "event_not_found"
    assert (await stranger.get(f"/v1/events/{first.id}")).status == 404
    assert [row["id"] for row in (await client.get("/v1/events?type=payment.created")).data] == [str(second.id)]
    assert [row["id"] for row in (await client.get(f"/v1/events?subject={first.subject}")).data] == [str(first.id)]
    assert (await client.get("/v1/events?created_at_start=2100-01-01T00:00:00Z")).data == []
    assert len((await client.get("/v1/events?sort=created_at&order=asc&limit=1")).data) == 1


async def test_two_creations_at_once_make_two_webhooks(strict: Client) -> None:
    await asyncio.gather(*(a_webhook(strict, "https://example.com/hook") for _ in range(8)))

    assert (await strict.get("/v1/webhooks")).json["pagination"]["total"] == 8
