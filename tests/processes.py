"""Services as processes of their own, as an operator runs them: each with its role, its port and its log."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from services import catalog
from shared.migrate import role_of
from shared.processes import StartError, die_with_parent, free_port, tail, wait_until
from tests.harness import SECRETS

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ROLE_PASSWORD = "test"


class Listening(Protocol):
    """What may be found at a port of this machine."""

    @property
    def port(self) -> int: ...


class Process:
    """One `arpilot run …` that tests may stop, kill and start again."""

    def __init__(self, name: str, environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.port: int = free_port()
        self.log = log
        own = f"ARPILOT_{name.upper()}_DATABASE_URL"
        known = {name: value for name, value in environ.items() if name == own or not name.endswith("DATABASE_URL")}
        self._environ = {**os.environ, **known, "ARPILOT_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    def meet(self, others: Mapping[str, Listening]) -> None:
        """Tell it where the others are, before it starts."""
        self._environ |= {
            f"ARPILOT_{name.upper()}_URL": f"http://127.0.0.1:{other.port}" for name, other in others.items()
        }

    @property
    def most_bytes(self) -> int:
        """The most memory that it has had."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def launch(self) -> None:
        """Begin to start, without waiting."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services", "run", self.name],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def wait_ready(self) -> None:
        """Until `/readyz` says yes."""
        assert self._process is not None
        if not wait_until(self._ready, self._process, seconds=START_SECONDS):
            raise StartError(f"{self.name} did not start; its log ends with:\n{tail(self.log, characters=6000)}")

    def start(self) -> None:
        """Start, and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def terminate(self) -> None:
        """Ask it to stop, as an upgrade does, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_stopped(self) -> int:
        """The exit code, once it has stopped."""
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Stop it in good order; returns its exit code."""
        self.terminate()
        return self.wait_stopped()

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=3) as answer:
            return bool(answer.status == 200)
        return False


def arpilot(environ: Mapping[str, str], *arguments: str) -> str:
    """What an operator's command prints; fails when the command does."""
    command = [sys.executable, "-m", "services", *arguments]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def environment(database_url: str, bus_url: str, directory: Path) -> dict[str, str]:
    """The settings of an installation: the owner's database and every role's own."""
    roles: dict[str, str] = {}
    for service in catalog.NAMES:
        roles |= _role(service, database_url)
    return {
        **SECRETS,
        **roles,
        "ARPILOT_DATABASE_URL": database_url,
        "ARPILOT_BUS_URL": bus_url,
        "ARPILOT_DATA_DIR": str(directory),
        "ARPILOT_BLOBS_URL": str(directory / "blobs"),
        "ARPILOT_NOTIFIER_MAIL_DIR": str(directory / "mail"),
        "ARPILOT_LOG_LEVEL": "warning",
    }


@contextmanager
def processes(
    environ: Mapping[str, str], directory: Path, *, names: tuple[str, ...] = catalog.NAMES
) -> Iterator[dict[str, Process]]:
    """One process per name (`invoices`, or `invoices-2` for a second one of them), all ready."""
    made = {name: Process(name.split("-")[0], environ, directory / f"{name}.log") for name in names}
    first = {name: process for name, process in made.items() if "-" not in name}
    for process in made.values():
        process.meet(first)
    with ExitStack() as stack:
        for process in made.values():
            stack.callback(process.kill)
            process.launch()
        for process in made.values():
            process.wait_ready()
        yield made


def _role(service: str, database_url: str) -> dict[str, str]:
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    own = urlunsplit(parts._replace(netloc=f"{role_of(service)}:{ROLE_PASSWORD}@{place}"))
    return {f"ARPILOT_{service.upper()}_DATABASE_URL": own}
