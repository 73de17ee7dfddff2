"""From an event to a signed POST, and everything that may go wrong on the way."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from services.webhooks.endpoints.model import EVENT_TYPES
from services.webhooks.endpoints.secrets import Keyring
from shared.ids import uuid7
from tests.harness import Client, wait_for
from tests.integration.webhooks import receiver as behaviours
from tests.integration.webhooks.house import House, a_webhook, an_event, delivered, deliveries
from tests.integration.webhooks.receiver import Receiver, redirect, respond


async def test_an_event_arrives_signed_and_in_the_documented_shape(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url(), headers={"Authorization": "Bearer abc"})
    event = an_event(client.tenant_id)

    await house.announce(event)
    await receiver.wait_for(lambda: len(receiver.posts) == 1)

    post = receiver.posts[0]
    assert post.verified(webhook["secret"]) == {
        "id": str(event.id),
        "type": "invoice.created",
        "timestamp": event.time.isoformat().replace("+00:00", "Z"),
        "data": json.loads(bytes(event.data)),
    }
    assert post.headers["webhook-id"] == str(event.id)
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"].startswith("ARPilot-Webhooks/")
    assert post.headers["authorization"] == "Bearer abc"
    assert abs(int(post.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60


async def test_the_delivery_and_its_attempt_are_recorded(house: House, client: Client, receiver: Receiver) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(202, b"z" * 5000))
    event = an_event(client.tenant_id)

    await house.announce(event)
    [delivery] = await delivered(client, webhook["id"], "delivered")

    assert delivery["event_id"] == str(event.id)
    assert delivery["event_type"] == "invoice.created"
    assert delivery["next_attempt_at"] is None
    [attempt] = delivery["attempts"]
    assert attempt["attempt"] == 1
    assert attempt["status_code"] == 202
    assert attempt["response_excerpt"] == "z" * 1024
    assert attempt["error"] is None


async def test_only_subscribed_types_of_the_own_tenant_are_delivered(
    house: House, client: Client, receiver: Receiver
) -> None:
    stranger = await house.client()
    await a_webhook(client, receiver.url("/invoices"), events=["invoice.*"])
    await a_webhook(client, receiver.url("/paid"), events=["invoice.paid", "payment.created"])
    await a_webhook(client, receiver.url("/all"))
    await a_webhook(client, receiver.url("/off"), is_active=False)
    await a_webhook(stranger, receiver.url("/stranger"))

    types = ["invoice.created", "invoice.paid", "payment.created", "customer.updated", "communication.requested"]
    await house.announce(*(an_event(client.tenant_id, name) for name in types))
    await receiver.wait_for(lambda: len(receiver.posts) == 8)
    await house.nothing_queued()

    def at(path: str) -> list[str]:
        return sorted(json.loads(post.body)["type"] for post in receiver.at(path))

    assert at("/invoices") == ["invoice.created", "invoice.paid"]
    assert at("/paid") == ["invoice.paid", "payment.created"]
    assert at("/all") == ["customer.updated", "invoice.created", "invoice.paid", "payment.created"]
    assert at("/off") == []
    assert at("/stranger") == []


async def test_an_event_that_the_bus_brings_twice_is_delivered_once(
    house: House, client: Client, receiver: Receiver
) -> None:
    await a_webhook(client, receiver.url())
    event, last = an_event(client.tenant_id), an_event(client.tenant_id)

    await house.announce(event)
    await receiver.wait_for(lambda: len(receiver.posts) == 1)
    await house.announce(event)
    await house.announce(last)
    await receiver.wait_for(lambda: receiver.posts[-1].event_id == str(last.id))

    assert receiver.per_event() == {str(event.id): 1, str(last.id): 1}


async def test_a_change_of_subscription_counts_for_the_next_event(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url("/old"), events=["customer.*"])
    unwanted = an_event(client.tenant_id)
    await house.announce(unwanted)

    async def taken_in() -> bool:
        return (await client.get(f"/v1/events/{unwanted.id}")).status == 200

    await wait_for(taken_in)
    changes = {"events": ["invoice.created"], "url": receiver.url("/new")}
    answer = await client.patch(f"/v1/webhooks/{webhook['id']}", json=changes)
    assert answer.status == 200
    wanted = an_event(client.tenant_id)
    await house.announce(wanted)
    await receiver.wait_for(lambda: len(receiver.posts) == 1)

    assert receiver.posts[0].path == "/new"
    assert receiver.posts[0].event_id == str(wanted.id)


async def test_a_failure_is_retried_on_schedule_with_the_same_id_and_a_new_signature(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500, b"oops"), respond(200))
    await house.announce(an_event(client.tenant_id))

    [delivery] = await delivered(client, webhook["id"], "retrying")
    wait = datetime.fromisoformat(delivery["next_attempt_at"]) - datetime.fromisoformat(
        delivery["attempts"][0]["attempted_at"]
    )
    assert timedelta(seconds=4.4) < wait < timedelta(seconds=6)
    assert delivery["attempts"][0]["error"] == "answered 500"
    assert delivery["attempts"][0]["response_excerpt"] == "oops"

    [delivery] = await delivered(client, webhook["id"], "delivered")
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [500, 200]
    first, second = receiver.posts
    assert first.event_id == second.event_id
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    second.verified(webhook["secret"])


async def test_after_ten_failed_attempts_a_delivery_is_given_up(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(503))
    await house.announce(an_event(client.tenant_id))
    for made in range(1, 11):
        await receiver.wait_for(lambda made=made: len(receiver.posts) == made)  # type: ignore[misc]
        await delivered(client, webhook["id"], "retrying" if made < 10 else "failed")
        await time_passes(house, webhook["id"])

    [delivery] = await delivered(client, webhook["id"], "failed")
    assert [attempt["attempt"] for attempt in delivery["attempts"]] == list(range(1, 11))
    assert await house.fetchval("select count(*) from queue") == 0


async def time_passes(house: House, webhook_id: str) -> None:
    """Everything is due now, and every cooldown is over."""

    async def recorded() -> bool:
        return bool(await house.fetchval("select count(*) = 0 from queue where lease is not null"))

    await wait_for(recorded)
    await house.execute(
        "update health set open_until = now() where endpoint_id = $1 and open_until is not null", webhook_id
    )
    await house.execute("update queue set due_at = now() where endpoint_id = $1", webhook_id)


async def test_every_kind_of_trouble_is_a_failed_attempt_with_its_reason(
    house: House, client: Client, receiver: Receiver
) -> None:
    troubles = {
        "/hang": behaviours.hang,
        "/half": behaviours.hang_in_the_body,
        "/loris": behaviours.slow_loris,
        "/reset": behaviours.reset,
        "/silent": behaviours.close_silently,
        "/short": behaviours.close_in_the_body,
        "/babble": behaviours.babble,
        "/moved": redirect(receiver.url("/elsewhere")),
        "/refused": respond(404),
    }
    webhooks = {}
    for path, behaviour in troubles.items():
        receiver.behave(path, behaviour)
        webhooks[path] = await a_webhook(client, receiver.url(path), timeout_seconds=1)
    big = await a_webhook(client, receiver.url("/big"))
    receiver.behave("/big", behaviours.huge(10))

    await house.announce(an_event(client.tenant_id))

    for path, webhook in webhooks.items():
        [delivery] = await delivered(client, webhook["id"], "retrying")
        assert delivery["attempts"][0]["error"], path
        receiver.behave(path, respond())  # so that nothing hangs when the test ends
    assert not receiver.at("/elsewhere")
    [delivery] = await delivered(client, big["id"], "delivered")
    assert delivery["attempts"][0]["response_excerpt"] == "y" * 1024


async def test_410_disables_the_endpoint_at_once_and_says_so(house: House, client: Client, receiver: Receiver) -> None:
    gone = await a_webhook(client, receiver.url("/gone"), events=["invoice.created"])
    await a_webhook(client, receiver.url("/watch"), events=["webhook.endpoint_disabled"])
    receiver.behave("/gone", respond(410))

    await house.announce(an_event(client.tenant_id))
    await receiver.wait_for(lambda: len(receiver.at("/watch")) == 1)

    webhook = (await client.get(f"/v1/webhooks/{gone['id']}")).data
    assert webhook["is_active"] is False
    assert webhook["disabled_reason"] == "gone"
    assert (await deliveries(client, gone["id"]))[0]["status"] == "failed"
    event = json.loads(receiver.at("/watch")[0].body)
    assert event["type"] == "webhook.endpoint_disabled"
    assert event["data"]["id"] == gone["id"]
    assert "secret" not in event["data"]


async def test_five_days_without_a_success_disable_an_endpoint_and_switching_it_on_again_resumes(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url(), events=["invoice.created"])
    receiver.behave("/hook", respond(500))
    await house.announce(an_event(client.tenant_id))
    await delivered(client, webhook["id"], "retrying")

    await house.execute("update health set failing_since = now() - interval '5 days'")
    await time_passes(house, webhook["id"])

    async def disabled() -> bool:
        return (await client.get(f"/v1/webhooks/{webhook['id']}")).data["is_active"] is False

    await wait_for(disabled)
    assert (await client.get(f"/v1/webhooks/{webhook['id']}")).data["disabled_reason"] == "failing"
    posts = len(receiver.posts)

    receiver.behave("/hook", respond(200))
    answer = await client.patch(f"/v1/webhooks/{webhook['id']}", json={"is_active": True})

    assert answer.data["disabled_reason"] is None
    assert answer.data["failing_since"] is None
    await delivered(client, webhook["id"], "delivered")
    assert len(receiver.posts) == posts + 1


async def test_429_pauses_the_whole_endpoint_for_as_long_as_it_asks(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(429, headers={"Retry-After": "3600"}), respond(200))
    await house.announce(an_event(client.tenant_id))
    [delivery] = await delivered(client, webhook["id"], "retrying")
    wait = datetime.fromisoformat(delivery["next_attempt_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= timedelta(minutes=60)

    await house.announce(an_event(client.tenant_id))
    await delivered(client, webhook["id"], "pending")
    other = await a_webhook(client, receiver.url("/other"))
    await house.announce(an_event(client.tenant_id))
    await delivered(client, other["id"], "delivered")

    assert len(receiver.at("/hook")) == 1
    await house.execute("update health set paused_until = now()")
    await delivered(client, webhook["id"], "delivered", 2)


async def test_a_broken_endpoint_is_left_alone_until_a_probe_succeeds(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500))
    await house.announce(*(an_event(client.tenant_id) for _ in range(5)))
    await delivered(client, webhook["id"], "retrying", 5)
    assert (await client.get(f"/v1/webhooks/{webhook['id']}")).data["circuit"] == "open"

    await house.announce(*(an_event(client.tenant_id) for _ in range(5)))
    await delivered(client, webhook["id"], "pending", 5)
    assert len(receiver.posts) == 5

    receiver.behave("/hook", respond(200))
    await house.execute("update health set open_until = now()")
    await delivered(client, webhook["id"], "delivered", 5)
    assert (await client.get(f"/v1/webhooks/{webhook['id']}")).data["circuit"] == "closed"


async def test_one_hung_endpoint_among_fifty_does_not_delay_the_others(
    house: House, client: Client, receiver: Receiver
) -> None:
    for number in range(50):
        await a_webhook(client, receiver.url(f"/{number}"), timeout_seconds=10)
    receiver.behave("/7", behaviours.hang)

    await house.announce(*(an_event(client.tenant_id) for _ in range(40)))
    await receiver.wait_for(lambda: len(receiver.posts) - len(receiver.at("/7")) == 49 * 40)

    in_flight = len(receiver.at("/7"))
    assert 1 <= in_flight <= 20, "never more than the bound of one endpoint"
    assert await house.fetchval("select count(*) from deliveries where attempts > 0 and status <> 'delivered'") == 0
    receiver.behave("/7", respond())


async def test_an_ordered_endpoint_gets_the_events_of_an_object_in_their_order_whatever_fails(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url(), ordered=True)
    receiver.behave("/hook", respond(), respond(500), respond())
    first, second = uuid7(), uuid7()
    events = [
        an_event(client.tenant_id, subject=subject, sequence=sequence)
        for sequence in range(1, 9)
        for subject in (first, second)
    ]

    await house.announce(*events)
    await delivered(client, webhook["id"], "delivered", 16)

    for subject in (first, second):
        wanted = [str(event.id) for event in events if event.subject == subject]
        got = [post.event_id for post in receiver.posts if post.event_id in wanted]
        assert [a for a, b in pairwise([*got, ""]) if a != b] == wanted
    assert len(receiver.posts) == 17


async def test_an_ordered_endpoint_waits_for_the_retry_of_one_object_but_not_for_others(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url(), ordered=True)
    receiver.behave("/hook", respond(500), respond())
    stuck, free = uuid7(), uuid7()

    await house.announce(an_event(client.tenant_id, subject=stuck, sequence=1))
    await delivered(client, webhook["id"], "retrying")
    await house.announce(
        an_event(client.tenant_id, subject=stuck, sequence=2), an_event(client.tenant_id, subject=free, sequence=1)
    )
    await delivered(client, webhook["id"], "delivered")
    assert len(await deliveries(client, webhook["id"], "?status=pending")) == 1

    await delivered(client, webhook["id"], "delivered", 3)


async def test_a_rate_limit_is_kept(house: House, client: Client, receiver: Receiver) -> None:
    await a_webhook(client, receiver.url(), rate_limit_per_second=5)

    await house.announce(*(an_event(client.tenant_id) for _ in range(12)))
    await receiver.wait_for(lambda: len(receiver.posts) == 12)

    times = [post.at for post in receiver.posts]
    assert all(late - early >= 0.9 for early, late in zip(times, times[5:], strict=False))


async def test_while_a_secret_rotates_both_verify_and_a_day_later_only_the_new_one(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    await house.announce(an_event(client.tenant_id))
    await receiver.wait_for(lambda: len(receiver.posts) == 1)

    rotated = (await client.post(f"/v1/webhooks/{webhook['id']}/rotate-secret")).data
    await house.announce(an_event(client.tenant_id))
    await receiver.wait_for(lambda: len(receiver.posts) == 2)
    receiver.posts[1].verified(webhook["secret"])
    receiver.posts[1].verified(rotated["secret"])

    await house.execute("update endpoints set previous_secret_until = now(), version = version + 1")
    await house.announce(an_event(client.tenant_id))
    await receiver.wait_for(lambda: len(receiver.posts) == 3)
    receiver.posts[2].verified(rotated["secret"])
    assert receiver.posts[2].headers["webhook-signature"].count("v1,") == 1


async def test_a_test_goes_to_that_endpoint_alone(client: Client, receiver: Receiver) -> None:
    tested = await a_webhook(client, receiver.url("/tested"), events=["customer.created"])
    await a_webhook(client, receiver.url("/other"))

    answer = await client.post(f"/v1/webhooks/{tested['id']}/test")
    await receiver.wait_for(lambda: len(receiver.posts) == 1)
    await asyncio.sleep(0.3)

    assert answer.json == {"queued": True}
    assert [post.path for post in receiver.posts] == ["/tested"]
    assert receiver.posts[0].verified(tested["secret"])["type"] == "webhook.test"


async def test_what_is_deleted_gets_nothing_more_and_leaves_no_history(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500))
    await house.announce(an_event(client.tenant_id))
    await delivered(client, webhook["id"], "retrying")

    assert (await client.delete(f"/v1/webhooks/{webhook['id']}")).json == {"success": True}

    for table in ("queue", "deliveries", "attempts", "health", "tallies"):
        assert await house.fetchval(f"select count(*) from {table}") == 0, table
    assert (await client.get(f"/v1/webhooks/{webhook['id']}/deliveries")).status == 404


async def test_a_secret_that_does_not_open_fails_the_attempts_to_its_endpoint_and_no_other(
    house: House, client: Client, receiver: Receiver
) -> None:
    broken = await a_webhook(client, receiver.url("/broken"))
    well = await a_webhook(client, receiver.url("/well"))
    foreign = Keyring({"lost": b"x" * 32}).seal(b"whsec_abc", b"")
    await house.execute("update endpoints set secret = $2, version = version + 1 where id = $1", broken["id"], foreign)

    await house.announce(an_event(client.tenant_id))

    await delivered(client, well["id"], "delivered")
    [delivery] = await delivered(client, broken["id"], "retrying")
    assert "its secret does not open" in delivery["attempts"][0]["error"]
    assert not receiver.at("/broken")


async def test_an_answer_that_cannot_be_stored_keeps_no_other_from_being_recorded(
    house: House, client: Client, receiver: Receiver
) -> None:
    """A constraint stands for whatever may be odd about an answer."""
    odd = await a_webhook(client, receiver.url("/odd"))
    well = await a_webhook(client, receiver.url("/well"))
    receiver.behave("/odd", respond(200, b"poison"))
    async with house.owner() as conn:
        await conn.execute("alter table webhooks.attempts add check (response_excerpt <> 'poison')")

    await house.announce(*(an_event(client.tenant_id) for _ in range(3)))

    await delivered(client, well["id"], "delivered", 3)
    found = await delivered(client, odd["id"], "retrying", 3)
    assert {delivery["attempts"][0]["error"] for delivery in found} == {"its answer could not be stored"}


async def test_over_rabbitmq_events_of_every_type_arrive_once_each(rabbit_house: House, receiver: Receiver) -> None:
    client = await rabbit_house.client()
    webhook = await a_webhook(client, receiver.url())
    events = [an_event(client.tenant_id, name) for name in sorted(EVENT_TYPES - {"webhook.test"})]

    await rabbit_house.announce(*events)
    await receiver.wait_for(lambda: len(receiver.posts) == len(events))

    assert receiver.per_event() == {str(event.id): 1 for event in events}
    for post in receiver.posts:
        assert post.verified(webhook["secret"])["id"] == post.event_id
