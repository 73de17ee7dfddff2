"""The PostgreSQL of `make run`: its data outlives everything, itself outlives nothing."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from shared import embedded
from shared.processes import StartError

# Starts the server in another process, says so, and waits for the end of its standard input.
HOLDER = """
import sys
from pathlib import Path
from shared import embedded
with embedded.postgres(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_arpilot(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def postmaster(directory: Path) -> int:
    return int((directory / "postgres/data/postmaster.pid").read_text().splitlines()[0])


def test_data_is_there_again_after_a_stop(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as answer")

    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        row = connection.execute("select answer from kept").fetchone()

    assert row == (42,)


def test_commits_are_durable_and_letters_are_unicode(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        settings = [connection.execute(f"show {name}").fetchone() for name in ("fsync", "synchronous_commit")]
        lower = connection.execute("select lower('ÉÖ')").fetchone()

    assert settings == [("on",), ("on",)]
    assert lower == ("éö",)


def test_it_listens_on_no_network_port(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_a_killed_arpilot_leaves_its_data_and_no_server(tmp_path: Path) -> None:
    with another_arpilot(tmp_path) as (process, url):
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 42 as answer")
        process.send_signal(signal.SIGKILL)
        process.wait()

        with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
            row = connection.execute("select answer from kept").fetchone()

    assert row == (42,)


def test_a_killed_server_recovers(tmp_path: Path) -> None:
    server = embedded.EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as answer")
    os.kill(postmaster(tmp_path), signal.SIGKILL)
    server.kill()

    server.start()

    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)
    server.stop()


def test_a_pid_file_that_names_another_program_is_forgotten(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path):
        pid_file = (tmp_path / "postgres/data/postmaster.pid").read_text()
    stale = pid_file.splitlines()
    stale[0] = str(os.getpid())
    (tmp_path / "postgres/data/postmaster.pid").write_text("\n".join(stale))

    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_directory_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    with (
        another_arpilot(tmp_path) as (process, _),
        pytest.raises(StartError, match=rf"Another ARPilot \(process {process.pid}\) uses .*ARPILOT_DATA_DIR"),
    ):
        embedded.EmbeddedPostgres(tmp_path / "postgres").start()


def test_a_refused_start_leaves_the_first_one_running(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as server:
        with pytest.raises(StartError):
            embedded.EmbeddedPostgres(tmp_path / "postgres").start()

        with psycopg.connect(server.url()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_a_half_made_data_directory_is_made_anew(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path):
        pass
    unfinished = (tmp_path / "postgres/data").rename(tmp_path / "postgres/data.part")
    (unfinished / "global/pg_control").unlink()

    with embedded.postgres(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)

    with embedded.postgres(deep) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    server = embedded.EmbeddedPostgres(tmp_path / "postgres", settings={"max_connections": "many"})

    with pytest.raises(StartError, match="max_connections"):
        server.start()


def test_data_may_be_kept_in_a_private_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    with embedded.postgres(home / ".arpilot") as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    # as root the server runs as somebody else, who cannot reach a private home: the data lies elsewhere then
    assert (home / ".arpilot/postgres").is_symlink() == (os.geteuid() == 0)


def test_programs_in_a_private_home_are_copied_to_where_they_can_be_run(tmp_path: Path) -> None:
    """A virtual environment under /root, which is where most containers have theirs."""
    package = embedded.programs().parents[1]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, private / name, symlinks=True)
    server = embedded.EmbeddedPostgres(tmp_path / "postgres", binaries=private / package.name / "pginstall18" / "bin")

    server.start()

    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    server.stop()
