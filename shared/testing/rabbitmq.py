"""Private RabbitMQ nodes out of the system's own package: their names, ports and files meet nobody else's."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from shared.processes import StartError, die_with_parent, free_port, tail, wait_until

START_SECONDS = 90.0
STOP_SECONDS = 30.0
USER = PASSWORD = "test"  # noqa: S105 - listens on 127.0.0.1, for the length of a test
# The programs in /usr/sbin are wrappers that lose the environment, so Debian's are taken from here.
PLACES = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)
# Absolute watermarks: the relative ones stop a node on a small or busy machine.
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.file = false
log.console.level = warning
default_user = {user}
default_pass = {password}
loopback_users = none
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""
MEMBERSHIP = "cluster_formation.peer_discovery_backend = classic_config\n"
WRONG_HEADER = b"AMQP\x09\x09\x09\x09"


def programs() -> Path:
    """The directory of RabbitMQ's programs."""
    for place in (os.environ.get("ARPILOT_TEST_RABBITMQ_BIN", ""), *PLACES):
        if place and Path(place, "rabbitmq-server").exists():
            return Path(place)
    raise StartError(
        "The tests need RabbitMQ: `apt-get install rabbitmq-server`, or start Docker, or set ARPILOT_TEST_AMQP_URL."
    )


class PortMapper:
    """An epmd of our own (it tells Erlang nodes each other's ports), so that the system's stays out of it."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(  # noqa: S603 - a program of the system
            ["epmd", "-port", str(self.port), "-address", "127.0.0.1"],  # noqa: S607 - wherever it is
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class RabbitNode:
    """One node on one directory; `start` again after `stop` or `kill` continues with the same data and port."""

    def __init__(self, directory: Path, mapper: PortMapper, *, cookie: str, port: int, peers: Sequence[str]) -> None:
        self.name = node_name(port)
        self.port = port
        self.url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/"
        self._directory = directory
        self._environment = _environment(directory, mapper, self.name)
        self._process: subprocess.Popen[bytes] | None = None
        _write_files(directory, port, cookie, peers)

    def start(self) -> None:
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Begin to start: the nodes of a cluster wait for each other, so none may be waited for before all begin."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the system
                [programs() / "rabbitmq-server"],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def wait(self) -> None:
        """Until clients are welcome."""
        assert self._process is not None
        if not wait_until(self._answers, self._process, seconds=START_SECONDS):
            self._end(signal.SIGKILL)
            raise StartError(f"RabbitMQ did not start; its log ends with:\n{tail(self._log)}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash does. (RabbitMQ 3.10 loses a quorum queue that is younger than about a second, so let it age.)"""
        self._end(signal.SIGKILL)

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` prints for these arguments; it takes a second or two to start."""
        done = subprocess.run(  # noqa: S603 - a program of the system
            [programs() / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            cwd=self._directory,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    @property
    def _log(self) -> Path:
        return self._directory / "console"

    def _answers(self) -> bool:
        return answers("127.0.0.1", self.port)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def node() -> Iterator[RabbitNode]:
    """One node of its own."""
    with cluster(size=1) as (only,):
        yield only


@contextmanager
def cluster(size: int = 3) -> Iterator[tuple[RabbitNode, ...]]:
    """Nodes that form a cluster (three take about 15 s to come up)."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arpilot-mq-", dir="/tmp")))
        mapper = PortMapper()
        stack.callback(mapper.stop)
        nodes = _nodes(directory, mapper, size)
        for each in nodes:
            stack.callback(each.kill)  # nothing of it is needed after the test, so it need not stop in good order
            each.launch()
        for each in nodes:
            each.wait()
        yield nodes


def answers(host: str, port: int) -> bool:
    """A broker that is up answers a wrong protocol header with the right one."""
    with suppress(OSError), socket.create_connection((host, port), 1) as connection:
        connection.settimeout(2)
        connection.sendall(WRONG_HEADER)
        return connection.recv(4) == WRONG_HEADER[:4]
    return False


def node_name(port: int) -> str:
    return f"test{port}@localhost"


def _nodes(directory: Path, mapper: PortMapper, size: int) -> tuple[RabbitNode, ...]:
    cookie = secrets.token_hex(16)
    ports = [free_port() for _ in range(size)]
    peers = [node_name(port) for port in ports] if size > 1 else []
    return tuple(RabbitNode(directory / str(port), mapper, cookie=cookie, port=port, peers=peers) for port in ports)


def _environment(directory: Path, mapper: PortMapper, name: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": str(directory),  # the cookie is read from there
        "RABBITMQ_CONF_ENV_FILE": str(directory / "environment"),
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
        "RABBITMQ_CONFIG_FILES": str(directory / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "generated"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(mapper.port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _write_files(directory: Path, port: int, cookie: str, peers: Sequence[str]) -> None:
    directory.mkdir()
    members = "".join(f"cluster_formation.classic_config.nodes.{n} = {peer}\n" for n, peer in enumerate(peers, 1))
    configuration = CONFIGURATION.format(port=port, user=USER, password=PASSWORD) + (MEMBERSHIP + members) * bool(peers)
    (directory / "rabbitmq.conf").write_text(configuration)
    (directory / "environment").write_text("")
    (directory / "plugins").write_text("[].")
    (directory / ".erlang.cookie").write_text(cookie)
    (directory / ".erlang.cookie").chmod(0o400)
