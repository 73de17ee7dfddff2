"""Bank files through the whole system."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from click.testing import CliRunner

from services.payments.imports.command import import_file
from shared.identity import admin
from tests import harness
from tests.harness import Client, System, wait_for
from tests.integration.payments.bank import (
    SAMPLES,
    finished,
    imported,
    job_of,
    long_csv,
    payments_of,
    replica,
    send,
    send_raw,
)
from tests.integration.payments.book import a_customer, an_invoice, due


async def test_a_bank_file_becomes_payments_and_says_why_rows_did_not(client: Client) -> None:
    job = await imported(client, "chase.csv")

    assert (job["status"], job["format"], job["file_name"], job["progress"]) == ("completed", "csv", "chase.csv", 1)
    assert (job["rows"], job["accepted"], job["duplicates"], job["rejected_count"]) == (5, 3, 0, 2)
    assert job["rejected"][0] == {"row": 4, "reason": "a debit of 84.20: money that left the account"}
    paid = await payments_of(client)
    assert [str(payment["amount"]) for payment in paid] == ["780.25", "3499.50", "1250.00"]
    assert paid[1]["payer_name"] == "NORTHWIND TRADERS LLC"
    assert {payment["source"] for payment in paid} == {"import"}


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("bank_of_america.ofx", 2),
        ("v2.ofx", 2),
        ("camt053_v08.xml", 1),
        ("deutsche_bank.sta", 1),
        ("us_treasury.bai", 4),
    ],
)
async def test_every_format_is_taken(client: Client, name: str, accepted: int) -> None:
    job = await imported(client, name)

    assert (job["status"], job["accepted"]) == ("completed", accepted)


@pytest.mark.parametrize(
    "name", ["twins.csv", "bank_of_america.ofx", "camt053_v02.xml", "rabobank.940", "us_treasury.bai"]
)
async def test_the_same_file_again_adds_nothing(client: Client, name: str) -> None:
    first, again = await imported(client, name), await imported(client, name)

    assert again["id"] != first["id"]
    assert (again["accepted"], again["duplicates"]) == (0, first["accepted"])
    assert len(await payments_of(client)) == first["accepted"]


async def test_an_imported_payment_pays_the_invoice_that_it_names(client: Client) -> None:
    owed = await an_invoice(client, await a_customer(client, "Harbor Supply Co"), "75.50")
    line = f"Date,Amount,Payer,Reference\n2026-11-20,75.50,HARBOR SUPPLY CO,{owed['invoice_number']}\n"

    await finished(client, await send(client, line.encode()))

    async def is_paid() -> bool:
        return await due(client, owed) == 0

    await wait_for(is_paid)


async def test_a_file_may_be_sent_as_the_raw_body_with_a_mapping(client: Client) -> None:
    content = (SAMPLES / "unusual_columns.csv").read_bytes()
    mapping = json.dumps({"payment_date": 1, "amount": "Wieviel", "external_payment_id": "Beleg"})

    job = await finished(client, await send_raw(client, content, mapping=mapping, format="csv", file_name="x.csv"))

    assert (job["accepted"], job["file_name"]) == (2, "x.csv")
    assert {payment["external_payment_id"] for payment in await payments_of(client)} == {"B-1", "B-2"}


async def test_a_form_may_carry_format_and_mapping(client: Client) -> None:
    mapping = json.dumps({"date": "Wann", "amount": "Wieviel", "payer": "Wer"})

    job = await imported(client, "unusual_columns.csv", format="csv", mapping=mapping)

    assert job["accepted"] == 2


async def test_a_payment_that_the_api_reported_is_not_imported_again(client: Client) -> None:
    body = {"amount": 5, "payment_date": "2026-11-17", "external_payment_id": "mine-1"}
    assert (await client.post("/v1/payments", json=body)).status == 201

    job = await finished(client, await send(client, b"Date,Amount,external_payment_id\n2026-11-17,5.00,mine-1\n"))

    assert (job["accepted"], job["duplicates"]) == (0, 1)


async def test_a_file_that_breaks_off_keeps_what_was_whole_and_fails_with_the_reason(client: Client) -> None:
    job = await imported(client, "broken.ofx")

    assert (job["status"], job["accepted"], job["rejected_count"]) == ("failed", 3, 2)
    assert "cut off" in job["error"]
    assert len(await payments_of(client)) == 3


async def test_xml_that_means_harm_fails_and_imports_nothing(client: Client) -> None:
    job = await imported(client, "entity_bomb.xml")

    assert (job["status"], job["accepted"]) == ("failed", 0)


async def test_all_refused_rows_are_listed_in_the_order_of_the_file(client: Client) -> None:
    job = await imported(client, "broken.csv")

    pages = [
        (await client.get(f"/v1/payments/imports/{job['id']}/rejected?per_page=5&page={page}")).data for page in (1, 2)
    ]

    assert [row["row"] for page in pages for row in page] == [3, 4, 5, 6, 7, 8, 9, 10, 12]


async def test_imports_are_listed_newest_first_and_never_to_another_tenant(client: Client, system: System) -> None:
    first, second = await imported(client, "twins.csv"), await imported(client, "chase.csv")
    stranger = await system.client()

    listed = (await client.get("/v1/payments/imports")).data

    assert [job["id"] for job in listed] == [second["id"], first["id"]]
    assert (await stranger.get("/v1/payments/imports")).data == []
    assert (await stranger.get(f"/v1/payments/imports/{first['id']}")).code == "import_not_found"
    assert (await stranger.get(f"/v1/payments/imports/{first['id']}/rejected")).status == 404


@pytest.mark.parametrize(
    ("content", "fields", "status", "code", "field"),
    [
        (b"", {}, 422, "file_unreadable", "file"),
        (b"PK\x03\x04", {}, 422, "file_unreadable", "file"),
        (b"Date,Amount\n", {"format": "docx"}, 422, "validation_failed", "format"),
        (b"Date,Amount\n", {"mapping": "not json"}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"sum": 1}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"amount": -1}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"delimiter": "::"}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"date_format": "%Y%Y"}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"amount": 99999999999999999999999}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"amount": "a\\u0000"}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"mapping": '{"amount": "\\ud800"}'}, 422, "validation_failed", "mapping"),
        (b"Date,Amount\n", {"colour": "red"}, 422, "validation_failed", "colour"),
    ],
)
async def test_what_cannot_be_imported_is_refused_at_once(
    client: Client, content: bytes, fields: dict[str, str], status: int, code: str, field: str
) -> None:
    answer = await send(client, content, **fields)

    assert (answer.status, answer.code, answer.fields) == (status, code, {field})


async def test_a_form_without_a_file_and_one_that_is_none_are_refused(client: Client) -> None:
    form = aiohttp.FormData({"format": "csv"}, default_to_multipart=True)
    no_form = {"Content-Type": "multipart/form-data; boundary=x"}

    assert (await client.post("/v1/payments/import", data=form)).code == "file_missing"
    assert (await client.post("/v1/payments/import", data=b"garbage", headers=no_form)).code == "upload_malformed"


async def test_more_than_100_mib_is_refused(client: Client) -> None:
    answer = await client.post("/v1/payments/import", data=io.BytesIO(b" " * (100 * 1024 * 1024 + 1)))

    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_the_same_idempotency_key_is_one_import_however_the_form_is_bounded(client: Client) -> None:
    client.headers["Idempotency-Key"] = "import-1"

    first, again = (
        await send(client, b"Date,Amount\n2026-11-17,1.00\n"),
        await send(client, b"Date,Amount\n2026-11-17,1.00\n"),
    )
    other = await send(client, b"Date,Amount\n2026-11-17,2.00\n")

    assert again.data["id"] == first.data["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_reading_is_not_enough_to_import(system: System) -> None:
    reader = await system.client(scopes=("payments:read",))

    assert (await send(reader, b"Date,Amount\n")).status == 403


async def test_the_progress_of_a_long_file_is_visible_and_its_bytes_are_dropped_at_the_end(
    client: Client, system: System
) -> None:
    answer = await send(client, long_csv(12_000))
    seen = set()

    async def is_over() -> bool:
        job = await job_of(client, answer.data["id"])
        seen.add(job["progress"])
        return bool(job["status"] == "completed")

    await wait_for(is_over)

    assert any(0 < progress < 1 for progress in seen)
    async with system.owner() as conn:
        left = "select count(*) from payments.payment_import_chunks where tenant_id = $1"
        assert await conn.fetchval(left, client.tenant_id) == 0


async def test_a_reason_quotes_no_more_of_a_file_than_a_person_reads(client: Client) -> None:
    job = await finished(client, await send(client, b"Date,Amount\n2026-11-17," + b"x" * 50_000 + b"\n"))

    assert job["rejected"][0]["reason"] == "'" + "x" * 100 + "' is not an amount"


async def test_a_file_that_fails_on_our_side_again_and_again_is_given_up(client: Client, system: System) -> None:
    fruitless = """insert into payments.payment_imports (tenant_id, id, status, format, size_bytes, currency,
            created_by, fruitless_claims, created_at, updated_at)
        values ($1, $1, 'processing', 'csv', 1, 'USD', 'test', 5, now(), now())"""
    async with system.owner() as conn:
        await conn.execute(fruitless, client.tenant_id)

    async def is_given_up() -> bool:
        return bool((await job_of(client, str(client.tenant_id)))["status"] == "failed")

    await wait_for(is_given_up)

    assert "something went wrong on our side" in (await job_of(client, str(client.tenant_id)))["error"]


async def test_a_killed_import_is_resumed_by_another_process_and_loses_and_doubles_nothing(apart: "Apart") -> None:
    async with replica(apart.environ) as (url, process):
        client = apart.client(url)
        job = (await send(client, long_csv(ROWS))).data
        await wait_for(lambda: has_begun(client, job["id"]))
        process.kill()
        await process.wait()
    done_rows = await abandoned(apart.conn)
    async with replica(apart.environ) as (url, _):
        client = apart.client(url)
        await wait_for(lambda: is_completed(client, job["id"]))
        job = await job_of(client, job["id"])

    assert 0 < done_rows < ROWS
    await check_all_is_in_once(apart.conn, job)


async def test_a_process_that_was_frozen_while_another_took_its_file_over_doubles_nothing(apart: "Apart") -> None:
    """Each of two is frozen in the middle, declared to have run out of time, and wakes when the other is at work."""
    async with replica(apart.environ) as (url, first), replica(apart.environ) as (_, second):
        client = apart.client(url)
        second.send_signal(SIGSTOP)
        job = (await send(client, long_csv(ROWS))).data
        await take_over(apart.conn, first, second)
        await take_over(apart.conn, second, first)
        await wait_for(lambda: is_completed(client, job["id"]), seconds=60)
        job = await job_of(client, job["id"])

    await check_all_is_in_once(apart.conn, job)


async def check_all_is_in_once(conn: asyncpg.Connection, job: dict[str, Any]) -> None:
    """Whether the job says so, and the table."""
    stored = await conn.fetchrow(
        "select count(*), count(distinct external_payment_id), sum(amount_cents) from payments.payments"
    )
    assert (job["rows"], job["accepted"], job["duplicates"], job["rejected"]) == (ROWS, ROWS, 0, [])
    assert tuple(stored or ()) == (ROWS, ROWS, sum(range(1, ROWS + 1)) * 100)


class Apart(NamedTuple):
    """A database for payments services in processes of their own, with one tenant."""

    conn: asyncpg.Connection
    environ: Mapping[str, str]
    client: Callable[[str], Client]
    """The tenant's, of the service at this URL."""


@pytest_asyncio.fixture
async def apart(postgres_url: str, template: str, tmp_path: Path) -> AsyncIterator[Apart]:
    async with harness.cloned(postgres_url, template) as database_url, aiohttp.ClientSession() as session:
        conn = await asyncpg.connect(database_url)
        tenant_id, key = await a_tenant(conn)
        environ = harness.environment(database_url, "local:", tmp_path)
        yield Apart(conn, environ, lambda url: Client(url, key, tenant_id, session))
        await conn.close()


async def take_over(
    conn: asyncpg.Connection, working: asyncio.subprocess.Process, waiting: asyncio.subprocess.Process
) -> None:
    """Freeze the process that works when it has got further, until the one that waits has its file."""
    before = await rows_done(conn)
    await wait_for(lambda: is_beyond(conn, before))
    await wait_for(lambda: is_frozen_between_batches(working, conn))
    claims = await conn.fetchval(
        "update payments.payment_imports set claimed_until = clock_timestamp() returning claim"
    )
    waiting.send_signal(SIGCONT)
    await wait_for(lambda: is_claimed_anew(conn, claims))
    working.send_signal(SIGCONT)


async def rows_done(conn: asyncpg.Connection) -> int:
    """How many rows of the only import are in."""
    return int(await conn.fetchval("select coalesce(max(rows), 0) from payments.payment_imports"))


async def is_beyond(conn: asyncpg.Connection, rows: int) -> bool:
    """Whether more rows are in than these."""
    return await rows_done(conn) > rows


async def is_claimed_anew(conn: asyncpg.Connection, claims: int) -> bool:
    """Whether the import was claimed more often than this."""
    return bool(await conn.fetchval("select claim > $1 from payments.payment_imports", claims))


async def is_frozen_between_batches(process: asyncio.subprocess.Process, conn: asyncpg.Connection) -> bool:
    """Freeze a process; where it holds the import's row in a transaction, nobody could take over: let it go on."""
    process.send_signal(SIGSTOP)
    if await conn.fetchval("select id from payments.payment_imports for update skip locked"):
        return True
    process.send_signal(SIGCONT)
    return False


ROWS = 20_000


async def has_begun(client: Client, job_id: str) -> bool:
    """Whether some rows are in, and not all."""
    return bool(0 < (await job_of(client, job_id))["rows"] < ROWS)


async def is_completed(client: Client, job_id: str) -> bool:
    """Whether all is in."""
    return bool((await job_of(client, job_id))["status"] == "completed")


async def abandoned(conn: asyncpg.Connection) -> int:
    """Let the claim of the killed process run out now rather than in seconds; returns the rows that it had done."""
    expired = "update payments.payment_imports set claimed_until = clock_timestamp() returning rows"
    return int(await conn.fetchval(expired))


async def a_tenant(conn: asyncpg.Connection) -> tuple[UUID, str]:
    """A tenant and its key."""
    tenant_id = await admin.create_tenant(conn, name="T", live=True, tier="enterprise", timezone="UTC", currency="USD")
    key = await admin.create_key(conn, tenant_id, name="test", scopes=("payments",))
    assert key is not None
    return tenant_id, key


async def test_the_command_imports_a_file_and_shows_the_refused_rows(client: Client) -> None:
    place = ["--url", client.base_url, "--key", client.key]

    told = await asyncio.to_thread(CliRunner().invoke, import_file, [str(SAMPLES / "broken.csv"), *place])
    again = await asyncio.to_thread(CliRunner().invoke, import_file, [str(SAMPLES / "broken.csv"), *place])

    assert told.exit_code == 0
    assert "3 payments imported, 0 known before, 9 of 12 rows not imported (csv)." in told.stdout
    assert "'twelve' is not an amount" in told.stdout
    assert "0 payments imported, 3 known before" in again.stdout


async def test_the_command_maps_columns_and_fails_in_words(client: Client) -> None:
    place = ["--url", client.base_url, "--key", client.key]
    unusual = str(SAMPLES / "unusual_columns.csv")

    unmapped = await asyncio.to_thread(CliRunner().invoke, import_file, [unusual, *place])
    mapped = await asyncio.to_thread(
        CliRunner().invoke, import_file, [unusual, "--map", "date=1", "--map", "amount=Wieviel", *place]
    )
    wrong = await asyncio.to_thread(CliRunner().invoke, import_file, [unusual, "--url", client.base_url, "--key", "no"])

    assert (unmapped.exit_code, mapped.exit_code, wrong.exit_code) == (1, 0, 1)
    assert "say which they are with a mapping" in unmapped.output
    assert "2 payments imported" in mapped.output
    assert "API key" in wrong.output


async def test_a_short_file_does_not_wait_for_a_long_one(client: Client, system: System) -> None:
    other = await system.client()
    long_one = await send(client, long_csv(20_000))
    short = await finished(other, await send(other, (SAMPLES / "twins.csv").read_bytes()))

    assert short["status"] == "completed"
    assert (await job_of(client, long_one.data["id"]))["status"] == "processing"
    await finished(client, long_one, seconds=120)
