"""`arpilot migrate` may be killed, started twice at once, and run by an owner who is no superuser."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.ids import uuid7
from tests import harness
from tests.processes import arpilot, environment


def kill_after(environ: dict[str, str], seconds: float) -> bool:
    """Run `migrate` and kill it after a while; returns whether it had ended before."""
    process = subprocess.Popen([sys.executable, "-m", "services", "migrate"], env=environ, stdout=subprocess.DEVNULL)
    try:
        ended = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    assert ended == 0, "it failed by itself"
    return True


async def test_a_killed_migration_is_taken_up_where_it_stopped(postgres_url: str, tmp_path: Path) -> None:
    async with harness.cloned(postgres_url, "template0") as url:
        environ = environment(url, "local:", tmp_path)
        path = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}

        seconds = 0.7
        while not kill_after(path | environ, seconds):
            seconds *= 1.4

        assert arpilot(environ, "migrate") == "Everything is up to date."


async def test_many_at_once_apply_everything_once(postgres_url: str, tmp_path: Path) -> None:
    async with harness.cloned(postgres_url, "template0") as url:
        environ = environment(url, "local:", tmp_path)

        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(lambda _: arpilot(environ, "migrate"), range(3)))

    assert sum(line.endswith("migrations applied.") for line in said) == 1
    assert said.count("Everything is up to date.") == 2


async def test_an_owner_who_is_no_superuser_suffices(postgres_url: str, tmp_path: Path) -> None:
    name = f"owner_{uuid7().hex}"
    async with harness.cloned(postgres_url, "template0") as url:
        conn = await asyncpg.connect(url)
        roles = [row["rolname"] for row in await conn.fetch("select rolname from pg_roles where rolname ~ '^arpilot_'")]
        await conn.execute(f"create role {name} login createrole password 'test'")
        for role in roles:
            await conn.execute(f"grant {role} to {name} with admin option")
        await conn.execute(f'alter database "{urlsplit(url).path[1:]}" owner to {name}')
        own = urlunsplit(urlsplit(url)._replace(netloc=f"{name}:test@{urlsplit(url).netloc.rpartition('@')[2]}"))
        try:
            said = arpilot(environment(own, "local:", tmp_path), "migrate")
        finally:
            await conn.execute(f"reassign owned by {name} to current_user; drop owned by {name}; drop role {name}")
            await conn.close()

    assert said.endswith("migrations applied.")
