"""What every child server needs: a user that is not root, a parent to die with, and a wait without sleeping."""

from __future__ import annotations

import ctypes
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals
from typing import TypedDict

NOBODY = 65534
POLL_SECONDS = 0.02
# Below the range from which Linux takes ports for outgoing connections, so that none is taken in between.
PORTS = range(20000, 32000)
_PR_SET_PDEATHSIG = 1
_given: set[int] = set()


class User(TypedDict, total=False):
    """The part of `Popen`'s arguments that says who runs the child."""

    user: int
    group: int
    extra_groups: list[int]


class StartError(Exception):
    """A server did not start; the message is a sentence for the person at the terminal."""


def as_nobody() -> User:
    """PostgreSQL refuses to run as root, so root runs it as nobody; anybody else runs it as themselves."""
    return User(user=NOBODY, group=NOBODY, extra_groups=[]) if os.geteuid() == 0 else User()


def give_to_nobody(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def nobody_reaches(path: Path) -> bool:
    """Whether the user that runs the child may walk down to `path`: under a 0700 home, nobody may not."""
    return os.geteuid() != 0 or all(_opens(parent.stat()) for parent in path.parents)


def _opens(directory: os.stat_result) -> bool:
    return bool(directory.st_mode & (0o100 if directory.st_uid == NOBODY else 0o001))


def die_with_parent(signal: Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends `signal` when the *thread* that started the child ends (Linux only)."""
    libc = ctypes.CDLL(None)

    def arrange() -> None:
        if hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_PDEATHSIG, int(signal))

    return arrange


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    """Whether `ready` came true while `process` lived. Waiting on the process is what spaces the attempts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        if _ended(process):
            return False
    return False


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, never the same twice in one process."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - no secret
        if port not in _given and port_is_free(port):
            _given.add(port)
            return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def tail(log: Path, *, characters: int = 2000) -> str:
    """The end of a log, to be shown with an error."""
    return log.read_text(errors="replace")[-characters:] if log.exists() else ""
