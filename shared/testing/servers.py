"""Where tests get PostgreSQL and RabbitMQ from: the addresses given, else containers, else private native servers.

`ARPILOT_TEST_POSTGRES_URL` and `ARPILOT_TEST_AMQP_URL` name servers that are there already.
`ARPILOT_TEST_SERVERS=docker|native` says which kind to start.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from shared.embedded import EmbeddedPostgres
from shared.processes import StartError, free_port, give_to_nobody
from shared.testing import rabbitmq
from shared.testing.rabbitmq import RabbitNode, cluster

__all__ = ["Broker", "RabbitNode", "Server", "broker", "cluster", "postgres", "private_broker", "private_postgres"]

# A throw-away database need not survive a power cut; a private one does, since faults are what it is for.
HASTY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
MAX_CONNECTIONS = {"max_connections": "200"}


class Server(Protocol):
    """A server that tests may break: it comes back with the same data on the same port."""

    url: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class Broker(Server, Protocol):
    """A RabbitMQ that tests may also command."""

    def ctl(self, *arguments: str) -> str: ...


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a superuser on a server for many tests."""
    if url := os.environ.get("ARPILOT_TEST_POSTGRES_URL"):
        yield url
        return
    with _postgres(HASTY) as server:
        yield server.url


@contextmanager
def broker() -> Iterator[str]:
    """The URL of a RabbitMQ for many tests."""
    if url := os.environ.get("ARPILOT_TEST_AMQP_URL"):
        yield url
        return
    with private_broker() as server:
        yield server.url


def private_postgres() -> AbstractContextManager[Server]:
    """A PostgreSQL for one test, with durable settings."""
    return _postgres({})


@contextmanager
def private_broker() -> Iterator[Broker]:
    """A RabbitMQ for one test. (Several that form a cluster: `cluster`, native only.)"""
    if use_containers():
        from shared.testing import containers  # needs Docker's libraries, which take 0.2 s to import

        with containers.broker() as server:
            yield server
        return
    with rabbitmq.node() as node:
        yield node


@functools.cache
def use_containers() -> bool:
    """Whether to start servers with Docker."""
    kind = os.environ.get("ARPILOT_TEST_SERVERS", "")
    if kind == "native":
        return False
    from shared.testing import containers  # see private_broker

    found = containers.engine_answers()
    if kind == "docker" and not found:
        raise StartError("ARPILOT_TEST_SERVERS=docker, but no Docker engine answers: start it, or set DOCKER_HOST.")
    return found


class NativePostgres:
    """The embedded PostgreSQL on a port of its own, so that a proxy can stand before it."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        port = free_port()
        on_port = {"listen_addresses": "'127.0.0.1'", "port": str(port)}
        self._server = EmbeddedPostgres(directory / "postgres", settings=settings | on_port, binaries=_programs())
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self.start, self.stop, self.kill = self._server.start, self._server.stop, self._server.kill


@contextmanager
def _postgres(settings: dict[str, str]) -> Iterator[Server]:
    settings = settings | MAX_CONNECTIONS
    if use_containers():
        from shared.testing import containers  # see private_broker

        with containers.postgres(*(f"{name}={value}" for name, value in settings.items())) as server:
            yield server
        return
    with tempfile.TemporaryDirectory(prefix="arpilot-pg-", dir="/tmp") as directory:
        give_to_nobody(Path(directory))
        native = NativePostgres(Path(directory), settings)
        native.start()
        try:
            yield native
        finally:
            native.stop()


def _programs() -> Path | None:
    """Another PostgreSQL to test with, for example /usr/lib/postgresql/15/bin."""
    place = os.environ.get("ARPILOT_TEST_POSTGRES_BIN")
    return Path(place) if place else None
