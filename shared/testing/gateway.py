"""The real nginx with the real configuration, in front of wherever the services are."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.processes import StartError, die_with_parent, free_port, give_to_nobody, tail, wait_until

FILES = Path(__file__).parents[2] / "deploy" / "gateway"
START_SECONDS = 10.0


def program() -> str:
    """The path of nginx."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise StartError("The gateway's tests need nginx: `apt-get install nginx-light`, or `brew install nginx`.")
    return found


@contextmanager
def gateway(ports: Mapping[str, int], *, values: Mapping[str, str] | None = None, tls: bool = False) -> Iterator[str]:
    """Run nginx before services on these ports; yields its address. `values` replaces texts of the native values."""
    with tempfile.TemporaryDirectory(prefix="arpilot-nginx-", dir="/tmp") as name:
        directory = Path(name)
        give_to_nobody(directory)  # nginx's workers keep large bodies there
        port = free_port()
        _write(directory, port, ports, values or {})
        if tls:
            shutil.copy(FILES / "tls.conf", directory)
        with _running(directory, port):
            yield f"http://127.0.0.1:{port}"


def _write(directory: Path, port: int, ports: Mapping[str, int], values: Mapping[str, str]) -> None:
    main = (FILES / "nginx.conf").read_text()
    assert "listen 8080;" in main
    (directory / "nginx.conf").write_text(main.replace("listen 8080;", f"listen 127.0.0.1:{port};"))
    native = (FILES / "values" / "native.conf").read_text()
    for number, service in enumerate(("customers", "invoices", "payments", "webhooks", "notifier"), 8081):
        native = native.replace(f"127.0.0.1:{number}", f"127.0.0.1:{ports[service]}")
    for old, new in values.items():
        assert old in native, old
        native = native.replace(old, new)
    (directory / "values.conf").write_text(native)


@contextmanager
def _running(directory: Path, port: int) -> Iterator[None]:
    log = directory / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - a program of the system
            [program(), "-p", f"{directory}/", "-c", directory / "nginx.conf", "-g", "daemon off;"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        if not wait_until(lambda: _listens(port), process, seconds=START_SECONDS):
            raise StartError(f"nginx did not start: {tail(log)}")
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
