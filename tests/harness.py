"""ARPilot as tests use it: the whole system in this process on a real port, tenants with keys, clients, waiting."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import aiohttp
import asyncpg

from services import catalog
from shared import migrate
from shared.app import Running, running
from shared.config import Settings, load
from shared.identity import admin
from shared.identity.scopes import AREAS
from shared.ids import uuid7

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""How long tests wait for what must happen: a slow or busy machine is no defect, and who succeeds does not wait."""

SECRETS = {
    "ARPILOT_SECRET_KEY": "a secret of the tests, long enough to be one",
    "ARPILOT_ENCRYPTION_KEYS": f"test:{base64.b64encode(b'k' * 32).decode()}",
}


def database_named(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def make_template(server_url: str) -> str:
    """A database with all migrations applied, from which tests clone theirs; returns its name."""
    folders = {name: Path("services", name, "migrations") for name in catalog.NAMES}
    files = sorted(
        file for folder in [*folders.values(), migrate.MECHANISMS, migrate.IDENTITY] for file in folder.glob("*.sql")
    )
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    name = f"arpilot_template_{digest}_{uuid7().hex[-8:]}"
    conn = await asyncpg.connect(server_url)
    try:
        await conn.execute(f'create database "{name}"')
    finally:
        await conn.close()
    await asyncio.to_thread(migrate.apply, database_named(server_url, name), folders, {})
    return name


@asynccontextmanager
async def cloned(server_url: str, template: str) -> AsyncIterator[str]:
    """A fresh database with all schemas; removed afterwards."""
    name = f"test_{uuid7().hex}"
    conn = await asyncpg.connect(server_url)
    try:
        await conn.execute(f'create database "{name}" template "{template}" strategy file_copy')
        yield database_named(server_url, name)
        await conn.execute(f'drop database "{name}" with (force)')
    finally:
        await conn.close()


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body, numbers kept exact."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def data(self) -> Any:
        """`data` of a good answer; fails with the whole answer when it was refused."""
        assert self.status < 300, f"{self.status} {self.body.decode()}"
        return self.json["data"]

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        return str(self.json["code"])

    @property
    def fields(self) -> set[str]:
        """The fields that a refusal names."""
        return {error["field"] for error in self.json.get("errors", [])}


@dataclass
class Client:
    """An API client with one key."""

    base_url: str
    key: str
    tenant_id: UUID
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Answer:
        """Send a request; `json` may hold Decimals."""
        if "json" in kwargs:
            kwargs["data"] = json.dumps(kwargs.pop("json"), default=_plain)
            headers = {"Content-Type": "application/json", **(headers or {})}
        authorization = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with self.session.request(
            method, self.base_url + path, headers={**authorization, **self.headers, **(headers or {})}, **kwargs
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **kwargs: Any) -> Answer:
        return await self.request("GET", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> Answer:
        return await self.request("POST", path, **kwargs)

    async def patch(self, path: str, **kwargs: Any) -> Answer:
        return await self.request("PATCH", path, **kwargs)

    async def put(self, path: str, **kwargs: Any) -> Answer:
        return await self.request("PUT", path, **kwargs)

    async def delete(self, path: str, **kwargs: Any) -> Answer:
        return await self.request("DELETE", path, **kwargs)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value != value.to_integral_value() else int(value)
    return str(value)


@dataclass
class System:
    """The system as it runs for tests."""

    process: Running
    database_url: str
    session: aiohttp.ClientSession

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.process.port}"

    async def tenant(
        self, *, tier: str = "enterprise", timezone: str = "UTC", currency: str = "USD", live: bool = True
    ) -> UUID:
        """A new tenant."""
        async with self.owner() as conn:
            return await admin.create_tenant(
                conn, name="Test", live=live, tier=tier, timezone=timezone, currency=currency, email="owner@example.com"
            )

    async def client(self, tenant_id: UUID | None = None, *, scopes: tuple[str, ...] = AREAS, **tenant: Any) -> Client:
        """A client of a tenant, by default of a new one with all scopes."""
        tenant_id = tenant_id or await self.tenant(**tenant)
        async with self.owner() as conn:
            key = await admin.create_key(conn, tenant_id, name="test", scopes=scopes)
        assert key is not None
        return Client(self.base_url, key, tenant_id, self.session)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """The database as its owner, who sees all schemas."""
        conn = await asyncpg.connect(self.database_url)
        try:
            yield conn
        finally:
            await conn.close()


def environment(database_url: str, bus_url: str, data_dir: Path, **more: str) -> dict[str, str]:
    """The settings of a system under test."""
    return {
        **SECRETS,
        "ARPILOT_DATABASE_URL": database_url,
        "ARPILOT_BUS_URL": bus_url,
        "ARPILOT_PORT": "0",
        "ARPILOT_DATA_DIR": str(data_dir),
        "ARPILOT_BLOBS_URL": str(data_dir / "blobs"),
        "ARPILOT_RATE_LIMIT_ENTERPRISE": "100000",
        "ARPILOT_WEBHOOKS_ALLOW_INSECURE": "true",
        "ARPILOT_NOTIFIER_MAIL_DIR": str(data_dir / "mail"),
        "ARPILOT_LOG_LEVEL": "warning",
        **more,
    }


@asynccontextmanager
async def system_over(environ: Mapping[str, str]) -> AsyncIterator[System]:
    """All five services in this process."""
    settings = load(Settings, "ARPILOT_", environ)
    assert settings.database_url
    async with running(catalog.find(), settings, environ) as process, aiohttp.ClientSession() as session:
        yield System(process, settings.database_url, session)


async def wait_for(condition: Callable[[], Awaitable[T]], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Ask until the answer is true, and return it; fail when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"did not happen within {seconds} s; the last answer was {found!r}"
        await asyncio.sleep(0.02)


async def verify_ledgers(database_url: str) -> None:
    """Check the invariants of accounting for all tenants of a database (docs/accounting.md)."""
    from services.invoices.ledger.verify import findings  # tests of other services do without the ledger

    conn = await asyncpg.connect(database_url)
    try:
        found = await findings(conn)
    finally:
        await conn.close()
    assert not found, found
