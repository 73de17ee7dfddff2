"""The dunning clock over the whole system: the mails that it queues, and those that it must not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.notifier.dunning import actions, jobs
from services.notifier.dunning.store import Candidate
from shared import clock
from tests import harness
from tests.harness import Client, System, wait_for
from tests.integration.notifier.world import a_customer, an_invoice, system_template

TODAY = clock.now().date()


@pytest_asyncio.fixture(scope="module")
async def own(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A system whose clock the tests wind by hand."""
    async with harness.cloned(postgres_url, template) as url:
        environ = harness.environment(url, "local:", tmp_path_factory.mktemp("dunning"))
        async with harness.system_over(environ) as system:
            yield system


async def a_schedule(client: Client, *steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A default schedule."""
    reminder = await system_template(client, "overdue_1")
    filled = [{"template_id": reminder, **step} for step in steps]
    answer = await client.post(
        "/v1/dunning-schedules", json={"name": "Usual", "is_default": True, "steps": filled, **fields}
    )
    data: dict[str, Any] = answer.data
    return data


async def overdue(client: Client, customer_id: str, days: int, **fields: Any) -> dict[str, Any]:
    """An invoice that was due some days ago, as the notifier knows it."""
    due = TODAY - timedelta(days=days)
    body = {"issue_date": str(due - timedelta(days=30)), "due_date": str(due), **fields}
    return await an_invoice(client, customer_id, **body)


async def known(system: System, count: int, client: Client) -> None:
    """Wait until the notifier has copies of so many invoices, and of the customers' contacts."""

    async def there() -> bool:
        async with system.owner() as conn:
            invoices = await conn.fetchval(
                "select count(*) from notifier.invoices where tenant_id = $1", client.tenant_id
            )
            contacts = await conn.fetchval(
                "select count(*) from notifier.contacts where tenant_id = $1", client.tenant_id
            )
        return bool(invoices >= count and contacts)

    await wait_for(there)


async def wind(
    system: System, client: Client, customer_id: str, *, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Let the clock look at a customer at an instant; returns its dunning mails, newest first."""
    who = Candidate(tenant_id=client.tenant_id, customer_id=UUID(customer_id))
    async with system.process.runtimes["notifier"].database.transaction() as conn:
        await actions.remind(conn, who, now=now or clock.now())
    data: list[dict[str, Any]] = (await client.get(f"/v1/communications?kind=dunning&customer_id={customer_id}")).data
    return data


async def test_a_customer_hears_of_all_overdue_invoices_in_one_mail(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    older, newer = await overdue(client, customer["id"], 9), await overdue(client, customer["id"], 2)
    await known(own, 2, client)
    await a_schedule(client, {"days": 1}, {"days": 7})

    (mail,) = await wind(own, client, customer["id"])

    assert mail["invoice_ids"] == [older["id"], newer["id"]]
    assert mail["to_email"] == "kari@nordlicht.example"


async def test_looking_again_queues_nothing_more(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 1}, {"days": 7}, {"days": 14})

    await wind(own, client, customer["id"])
    later = clock.now() + timedelta(days=1)
    assert len(await wind(own, client, customer["id"], now=later)) == 1
    assert len(await wind(own, client, customer["id"], now=clock.now() + timedelta(days=5))) == 2


async def test_weeks_of_downtime_bring_one_mail(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    await overdue(client, customer["id"], 1)
    await known(own, 1, client)
    await a_schedule(client, *({"days": day} for day in (1, 3, 5, 7, 9, 11, 13)))

    assert len(await wind(own, client, customer["id"], now=clock.now() + timedelta(days=20))) == 1


async def test_a_mail_waits_for_business_hours_where_the_customer_is(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client, timezone="Asia/Tokyo")
    await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 1})
    sunday_noon_in_tokyo = datetime(2026, 11, 22, 3, tzinfo=UTC)

    (mail,) = await wind(own, client, customer["id"], now=sunday_noon_in_tokyo)

    assert mail["scheduled_for"] == "2026-11-23T00:00:00Z"


@pytest.mark.parametrize("what", ["customer_id", "invoice_id"])
async def test_a_pause_keeps_the_clock_off(own: System, what: str) -> None:
    client = await own.client()
    customer = await a_customer(client)
    invoice = await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 1})
    target = {"customer_id": customer["id"], "invoice_id": invoice["id"]}[what]

    pause = (await client.post("/v1/dunning-pauses", json={what: target})).data
    assert await wind(own, client, customer["id"]) == []
    await client.delete(f"/v1/dunning-pauses/{pause['id']}")
    assert len(await wind(own, client, customer["id"])) == 1


async def test_what_is_paid_disputed_or_small_is_left_alone(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    paid = await overdue(client, customer["id"], 9)
    disputed = await overdue(client, customer["id"], 9)
    await overdue(client, customer["id"], 9, line_items=[{"description": "Small", "unit_price": 5}])
    await client.post(f"/v1/invoices/{paid['id']}/record-payment")
    await client.post("/v1/disputes", json={"invoice_id": disputed["id"], "reason": "wrong"})
    await known(own, 3, client)
    await a_schedule(client, {"days": 1, "minimum_amount": 10})

    async def settled() -> bool:
        async with own.owner() as conn:
            rows = await conn.fetch("select status from notifier.invoices where tenant_id = $1", client.tenant_id)
        return {row["status"] for row in rows} == {"paid", "in_dispute", "overdue"}

    await wait_for(settled)
    assert await wind(own, client, customer["id"]) == []


async def test_a_queued_reminder_is_cancelled_when_its_invoice_is_paid(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    invoice = await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 1})
    (mail,) = await wind(own, client, customer["id"], now=datetime(2026, 11, 22, 3, tzinfo=UTC))

    await client.post(f"/v1/invoices/{invoice['id']}/record-payment")

    async def cancelled() -> Any:
        data = (await client.get(f"/v1/communications/{mail['id']}")).data
        return data if data["status"] == "cancelled" else None

    assert (await wait_for(cancelled))["cancel_reason"] == "paid"


async def test_higher_steps_address_higher_contacts_and_copy_the_rest_of_the_level(own: System) -> None:
    client = await own.client()
    contacts = [
        {"contact_name": "Clerk", "email": "clerk@nordlicht.example", "is_primary": True},
        {"contact_name": "Boss A", "email": "a@nordlicht.example", "escalation_level": 2},
        {"contact_name": "Boss B", "email": "b@nordlicht.example", "escalation_level": 2},
    ]
    customer = await a_customer(client, contacts=contacts)
    await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 7, "escalation_level": 2})

    (mail,) = await wind(own, client, customer["id"])

    assert (mail["to_email"], mail["cc"]) == ("a@nordlicht.example", ["b@nordlicht.example"])


async def test_a_late_fee_is_an_invoice_of_its_own_charged_once(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    invoice = await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 7, "late_fee": {"amount": 5, "percent": 10}})
    await wind(own, client, customer["id"])

    runtime = own.process.runtimes["notifier"]
    await jobs.charge_late_fees(runtime)
    async with own.owner() as conn:
        await conn.execute("update notifier.late_fees set status = 'pending' where tenant_id = $1", client.tenant_id)
    await jobs.charge_late_fees(runtime)

    listed = (await client.get(f"/v1/invoices?customer_id={customer['id']}")).data
    fees = [one for one in listed if one["id"] != invoice["id"]]
    assert [(fee["amount"], fee["memo"]) for fee in fees] == [(20, f"Late fee for invoice {invoice['invoice_number']}")]
    assert (await client.get(f"/v1/invoices/{invoice['id']}")).data["amount"] == 150


async def test_an_instalment_is_announced_before_its_day(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    invoice = await an_invoice(client, customer["id"])
    instalments = [{"due_date": str(TODAY + timedelta(days=days)), "amount": 75} for days in (2, 40)]
    await client.post("/v1/payment-plans", json={"invoice_ids": [invoice["id"]], "instalments": instalments})
    await known(own, 1, client)

    async def kept() -> bool:
        async with own.owner() as conn:
            return bool(
                await conn.fetchval("select true from notifier.plan_instalments where tenant_id = $1", client.tenant_id)
            )

    await wait_for(kept)
    for _ in range(2):
        await jobs.tell_of_instalments(own.process.runtimes["notifier"])

    listed = (await client.get("/v1/communications?kind=plan_instalment")).data
    assert [one["invoice_id"] for one in listed] == [invoice["id"]]


async def test_schedules_are_checked(own: System) -> None:
    client = await own.client()
    made = await a_schedule(client, {"days": 7}, {"days": -3})
    path = f"/v1/dunning-schedules/{made['id']}"
    template_id = made["steps"][0]["template_id"]

    assert [step["days"] for step in made["steps"]] == [-3, 7]
    assert (await client.get(path)).data == made
    changed = await client.patch(path, json={"is_active": False})
    assert changed.data["version"] == 2
    step = {"days": 1, "template_id": template_id}
    for body, status, code in (
        ({"name": "usual", "steps": [step]}, 409, "dunning_schedule_name_taken"),
        ({"name": "B", "steps": [step], "is_default": True}, 409, "dunning_default_taken"),
        ({"name": "B", "steps": [step, step]}, 422, "validation_failed"),
        ({"name": "B", "steps": []}, 422, "validation_failed"),
        ({"name": "B", "steps": [{"days": 1, "template_id": str(client.tenant_id)}]}, 404, "template_not_found"),
    ):
        answer = await client.post("/v1/dunning-schedules", json=body)
        assert (answer.status, answer.code) == (status, code), body
    assert (await client.delete(path)).json == {"success": True}
    assert (await client.get(path)).code == "dunning_schedule_not_found"


async def test_a_deleted_customer_leaves_nothing_behind(own: System) -> None:
    client = await own.client()
    customer = await a_customer(client)
    await overdue(client, customer["id"], 9)
    await known(own, 1, client)
    await a_schedule(client, {"days": 1})
    await wind(own, client, customer["id"])

    assert (await client.delete(f"/v1/customers/{customer['id']}?force=true")).status == 200

    async def forgotten() -> bool:
        tables = ("communications", "contacts", "invoices", "dunning_steps")
        async with own.owner() as conn:
            left = [
                await conn.fetchval(f"select count(*) from notifier.{t} where tenant_id = $1", client.tenant_id)
                for t in tables
            ]
        return not any(left)

    assert await wait_for(forgotten)


async def test_the_clock_finds_by_itself_who_is_to_be_looked_at_and_when_again(own: System) -> None:
    client, unscheduled = await own.client(), await own.client()
    customer, other = await a_customer(client), await a_customer(unscheduled)
    await overdue(client, customer["id"], 9)
    await overdue(unscheduled, other["id"], 9)
    await known(own, 1, client)
    await known(own, 1, unscheduled)
    await a_schedule(client, {"days": 1})

    for _ in range(2):
        await jobs.remind(own.process.runtimes["notifier"])

    assert len((await client.get("/v1/communications?kind=dunning")).data) == 1
    assert (await unscheduled.get("/v1/communications")).data == []
    async with own.owner() as conn:
        look_at = await conn.fetchval("select look_at from notifier.invoices where tenant_id = $1", client.tenant_id)
    assert look_at > clock.now()


async def test_what_was_made_a_moment_ago_can_be_named_at_once(own: System) -> None:
    client = await own.client()
    reminder = await system_template(client, "overdue_1")
    customer = await a_customer(client)
    steps = [{"days": 1, "template_id": reminder}]

    made = await client.post(
        "/v1/dunning-schedules", json={"name": "A", "steps": steps, "customer_ids": [customer["id"]]}
    )
    invoice = await overdue(client, customer["id"], 9)
    paused = await client.post("/v1/dunning-pauses", json={"invoice_id": invoice["id"]})
    stranger = await client.patch(f"/v1/dunning-schedules/{made.data['id']}", json={"customer_ids": [invoice["id"]]})

    assert (made.status, paused.status) == (201, 201)
    assert (stranger.status, stranger.code, stranger.fields) == (404, "customer_not_found", {"customer_ids[0]"})
