"""What operators type: `ledger verify`, `outbox status`, `doctor`."""

import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.processes import arpilot, environment


def refused(environ: dict[str, str], *arguments: str) -> str:
    """What a command says that fails."""
    command = [sys.executable, "-m", "services", *arguments]
    done = subprocess.run(command, env={"PYTHONPATH": str(Path.cwd()), **environ}, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture
def environ(database_url: str, amqp_url: str, tmp_path: Path) -> dict[str, str]:
    made = environment(database_url, amqp_url, tmp_path)
    arpilot(made, "migrate")
    return made


def test_a_sound_ledger_is_said_to_be_right(environ: dict[str, str]) -> None:
    assert arpilot(environ, "ledger", "verify") == "The books are right."


async def test_the_outbox_says_what_waits_and_for_how_long(environ: dict[str, str]) -> None:
    conn = await asyncpg.connect(environ["ARPILOT_DATABASE_URL"])
    await conn.execute(
        "insert into invoices.outbox (tenant_id, event_id, type, body, created_at)"
        " values (gen_random_uuid(), gen_random_uuid(), 'invoice.created', '{}', now() - interval '90 seconds')"
    )
    await conn.close()

    said = arpilot(environ, "outbox", "status").splitlines()

    assert said[0].split() == ["customers", "0", "waiting"]
    assert "1 waiting, the oldest for 9" in said[1]


def test_the_doctor_finds_a_sound_installation_sound(environ: dict[str, str]) -> None:
    said = arpilot(environ, "doctor").splitlines()

    assert [line for line in said if not line.startswith("ok ")] == []
    assert len(said) >= 12


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ARPILOT_SECRET_KEY", "short", "ARPILOT_SECRET_KEY is wrong"),
        ("ARPILOT_SECRET_KEX", "anything", "did you mean ARPILOT_SECRET_KEY?"),
        ("ARPILOT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "is PostgreSQL up"),
        ("ARPILOT_BUS_URL", "amqp://127.0.0.1:1/", "RabbitMQ does not let us in"),
        ("ARPILOT_NOTIFIER_SMTP_URL", "smtp://127.0.0.1:1", "does not answer"),
        ("ARPILOT_BLOBS_URL", "/proc/nowhere", "Documents cannot be kept in /proc/nowhere"),
    ],
)
def test_the_doctor_names_what_is_wrong_and_what_to_do(
    environ: dict[str, str], variable: str, value: str, words: str
) -> None:
    said = refused(environ | {variable: value}, "doctor")

    assert words in said
    assert "→" in said


def test_the_doctor_sees_a_service_with_too_much_power(environ: dict[str, str]) -> None:
    said = refused(environ | {"ARPILOT_INVOICES_DATABASE_URL": environ["ARPILOT_DATABASE_URL"]}, "doctor")

    assert "use the role arpilot_invoices" in said


def test_the_doctor_sees_a_schema_that_is_behind(environ: dict[str, str], postgres_url: str) -> None:
    said = refused(environ | {"ARPILOT_DATABASE_URL": postgres_url}, "doctor")

    assert "run `arpilot migrate`" in said
