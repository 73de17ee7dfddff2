"""`arpilot` as an operator types it: what it does, and the one line that it says when it cannot."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.catalog import NAMES
from tests.harness import SECRETS

ROOT = Path(__file__).parents[3]


def arpilot(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ARPILOT_DATA_DIR": "/nonexistent", **settings}
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_tenants_and_keys_are_made_listed_and_revoked(database_url: str) -> None:
    made = arpilot("tenant", "create", "--name", "Acme", "--currency", "eur", ARPILOT_DATABASE_URL=database_url)
    tenant_id = made.stdout.strip()
    assert "Acme" in arpilot("tenant", "list", ARPILOT_DATABASE_URL=database_url).stdout

    key = arpilot("key", "create", "--tenant", tenant_id, ARPILOT_DATABASE_URL=database_url).stdout.strip()
    assert key.startswith("ark_live_")
    listed = arpilot("key", "list", "--tenant", tenant_id, ARPILOT_DATABASE_URL=database_url).stdout
    assert key not in listed
    assert "active" in listed

    key_id = listed.split()[0]
    assert arpilot("key", "revoke", key_id, ARPILOT_DATABASE_URL=database_url).returncode == 0
    again = arpilot("key", "revoke", key_id, ARPILOT_DATABASE_URL=database_url)
    assert again.returncode == 1
    assert "no active key" in again.stderr


def test_a_key_for_nobody_or_with_an_unknown_scope_is_refused(database_url: str) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    assert "no tenant" in arpilot("key", "create", "--tenant", nobody, ARPILOT_DATABASE_URL=database_url).stderr
    wrong = arpilot("key", "create", "--tenant", nobody, "--scopes", "everything", ARPILOT_DATABASE_URL=database_url)
    assert "unknown scope everything" in wrong.stderr


def test_migrating_what_is_up_to_date_says_so(database_url: str) -> None:
    assert arpilot("migrate", ARPILOT_DATABASE_URL=database_url).stdout == "Everything is up to date.\n"


def one_line(answer: subprocess.CompletedProcess[str]) -> str:
    """The single sentence that a failed start ends with."""
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stderr.strip().splitlines()[-1]


GOOD = {**SECRETS, "ARPILOT_BUS_URL": "local:", "ARPILOT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ARPILOT_SECRET_KEY", "", "ARPILOT_SECRET_KEY is not set"),
        ("ARPILOT_SECRET_KEY", "short", "ARPILOT_SECRET_KEY is wrong"),
        ("ARPILOT_ENCRYPTION_KEYS", "nonsense", "ARPILOT_ENCRYPTION_KEYS is wrong"),
        ("ARPILOT_PORT", "eighty", "ARPILOT_PORT is wrong"),
        ("ARPILOT_PORT", "70000", "ARPILOT_PORT is wrong"),
        ("ARPILOT_DATABASE_URL", "", "ARPILOT_CUSTOMERS_DATABASE_URL is not set"),
        ("ARPILOT_BUS_URL", "", "ARPILOT_BUS_URL is not set"),
        ("ARPILOT_BUS_URL", "kafka://x", "ARPILOT_BUS_URL"),
        ("ARPILOT_LOG_LEVEL", "loud", "ARPILOT_LOG_LEVEL is wrong"),
        ("ARPILOT_CUSTOMERS_POOL_SIZE", "0", "ARPILOT_CUSTOMERS_POOL_SIZE is wrong"),
    ],
)
def test_a_wrong_or_missing_setting_stops_the_start_with_one_sentence(variable: str, value: str, says: str) -> None:
    settings = {**GOOD, variable: value}

    assert says in one_line(arpilot("run", "customers", **{name: text for name, text in settings.items() if text}))


def test_a_port_in_use_is_said_and_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        assert re.search(
            rf"ARPILOT_PORT: cannot listen on .*:{port}",
            one_line(arpilot("run", "customers", ARPILOT_PORT=port, **GOOD)),
        )


def test_a_secret_may_come_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 40 + "\n")

    shown = arpilot(
        "config", ARPILOT_SECRET_KEY_FILE=str(secret), ARPILOT_DATABASE_URL="postgresql://u:pass@h/d"
    ).stdout

    assert "ARPILOT_SECRET_KEY = (set)" in shown
    assert "postgresql://u:…@h/d" in shown
    assert all(f"ARPILOT_{name.upper()}_POOL_SIZE" in shown for name in NAMES)


def test_a_misspelt_setting_is_pointed_out(database_url: str) -> None:
    answer = arpilot("run", "customers", ARPILOT_PROT="1", ARPILOT_PORT="eighty", **GOOD)
    assert "ARPILOT_PORT is wrong" in answer.stderr

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = {**GOOD, "ARPILOT_DATABASE_URL": database_url, "ARPILOT_PORT": str(taken.getsockname()[1])}
        answer = arpilot("run", "customers", ARPILOT_LOG_LEVLE="info", **settings)
    assert "ARPILOT_LOG_LEVLE is not a setting; did you mean ARPILOT_LOG_LEVEL?" in answer.stderr


def test_an_old_schema_refuses_the_start(postgres_url: str) -> None:
    settings = {**GOOD, "ARPILOT_DATABASE_URL": postgres_url, "ARPILOT_PORT": "0"}

    line = one_line(arpilot("run", "customers", **settings))

    assert "arpilot migrate" in line or "does not exist" in line
