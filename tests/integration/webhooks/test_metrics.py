"""What operators see of the dispatcher's work at `/metrics`."""

from prometheus_client.parser import text_string_to_metric_families

from services.webhooks.endpoints.subscriptions import Subscriptions
from tests.harness import Client, wait_for
from tests.integration.webhooks.house import House, a_webhook, an_event, delivered
from tests.integration.webhooks.receiver import Receiver, respond


async def measured(client: Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families((await client.get("/metrics")).body.decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def test_attempts_are_counted_by_outcome_and_their_time_is_measured(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    before = await measured(client, "arpilot_webhooks_attempts_total")
    timed = await measured(client, "arpilot_webhooks_attempt_seconds_count")
    receiver.behave("/hook", respond(200), respond(500))
    await house.announce(an_event(client.tenant_id), an_event(client.tenant_id))
    await delivered(client, webhook["id"], "delivered")
    await delivered(client, webhook["id"], "retrying")

    assert await measured(client, "arpilot_webhooks_attempts_total") == before + 2
    assert await measured(client, "arpilot_webhooks_attempt_seconds_count") == timed + 2


async def test_the_depth_of_the_queue_and_open_circuits_are_shown(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url())
    receiver.behave("/hook", respond(500))
    await house.announce(*(an_event(client.tenant_id) for _ in range(7)))
    await delivered(client, webhook["id"], "retrying", 5)

    async def shown() -> bool:
        depth = await measured(client, "arpilot_webhooks_queue_depth")
        return depth == 7 and await measured(client, "arpilot_webhooks_open_circuits") == 1

    await wait_for(shown)


async def test_a_change_counts_at_once_for_every_replica_s_copy_of_the_subscriptions(
    house: House, client: Client, receiver: Receiver
) -> None:
    webhook = await a_webhook(client, receiver.url("/old"))
    replicas = [Subscriptions(), Subscriptions()]

    async def urls() -> list[str]:
        async with house.database.connection() as conn:
            found = [await replica.of(conn, {client.tenant_id}) for replica in replicas]
        return [endpoint.url for each in found for endpoint in each[client.tenant_id]]

    assert await urls() == [receiver.url("/old")] * 2
    await client.patch(f"/v1/webhooks/{webhook['id']}", json={"url": receiver.url("/new")})
    assert await urls() == [receiver.url("/new")] * 2
    await client.delete(f"/v1/webhooks/{webhook['id']}")
    assert await urls() == []
