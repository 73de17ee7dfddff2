"""PostgreSQL and RabbitMQ in containers, where a Docker engine answers."""

from __future__ import annotations

import gc
import os
import secrets
import shlex
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import docker
import psycopg
from docker.errors import DockerException
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer

from shared.processes import POLL_SECONDS, StartError, free_port
from shared.testing import rabbitmq

POSTGRES_IMAGE = os.environ.get("ARPILOT_TEST_POSTGRES_IMAGE", "postgres:18")
RABBITMQ_IMAGE = os.environ.get("ARPILOT_TEST_RABBITMQ_IMAGE", "rabbitmq:4-management")
PING_SECONDS = 3
START_SECONDS = 90.0
STOP_SECONDS = 30
POSTGRES_PORT = 5432
AMQP_PORT = 5672


def engine_answers() -> bool:
    """Whether a Docker engine is there to be used."""
    found = False
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        with suppress(DockerException, OSError), closing(docker.from_env(timeout=PING_SECONDS)) as client:
            found = bool(client.ping())
        gc.collect()  # the library forgets to close a socket that it could not connect
    return found


class ContainerServer:
    """A server in a container on a port that stays; what it has stored stays too, over `stop`, `kill` and `start`."""

    def __init__(self, container: Container, url: str, answers: Callable[[], bool]) -> None:
        self.url = url
        self._container = container
        self._answers = answers

    def start(self) -> None:
        self._container.start()
        self.wait()

    def wait(self) -> None:
        """Until clients are welcome."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise StartError(f"A container did not start; it said: {self._container.logs(tail=30)!r}")
            threading.Event().wait(POLL_SECONDS)

    def stop(self) -> None:
        self._container.stop(timeout=STOP_SECONDS)

    def kill(self) -> None:
        self._container.kill()
        self._container.wait()

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` prints for these arguments."""
        code, output = self._container.exec_run(["rabbitmqctl", "--quiet", *arguments])
        assert isinstance(output, bytes)
        assert code == 0, output
        return output.decode()


@contextmanager
def postgres(*settings: str) -> Iterator[ContainerServer]:
    """PostgreSQL with `name=value` settings."""
    password = secrets.token_hex(8)
    command = shlex.join(["postgres", *(part for setting in settings for part in ("-c", setting))])
    container = DockerContainer(POSTGRES_IMAGE, command=command, env={"POSTGRES_PASSWORD": password})
    with _running(container, POSTGRES_PORT) as (host, port, wrapped):
        url = f"postgresql://postgres:{password}@{host}:{port}/postgres"
        yield _ready(ContainerServer(wrapped, url, lambda: _postgres_answers(url)))


@contextmanager
def broker() -> Iterator[ContainerServer]:
    """RabbitMQ."""
    user, password = rabbitmq.USER, rabbitmq.PASSWORD
    environment = {"RABBITMQ_DEFAULT_USER": user, "RABBITMQ_DEFAULT_PASS": password}
    container = DockerContainer(RABBITMQ_IMAGE, env=environment, hostname="broker")  # its data is filed under its name
    with _running(container, AMQP_PORT) as (host, port, wrapped):
        url = f"amqp://{user}:{password}@{host}:{port}/"
        yield _ready(ContainerServer(wrapped, url, lambda: rabbitmq.answers(host, port)))


def _ready(server: ContainerServer) -> ContainerServer:
    server.wait()
    return server


@contextmanager
def _running(container: DockerContainer, port: int) -> Iterator[tuple[str, int, Container]]:
    """Its host port is chosen here, since Docker would choose another one at each start."""
    host_port = free_port()
    with container.with_bind_ports(port, host_port):
        # By address: "localhost" may mean ::1 to a client, where Docker does not listen.
        host = socket.gethostbyname(container.get_container_host_ip())
        yield host, host_port, container.get_wrapped_container()


def _postgres_answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False
