"""`arpilot run all` with nothing prepared: an embedded database, secrets of its own, a demo tenant.

What it makes is kept in the data directory, so the next start finds everything as it was.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from shared.embedded import postgres
from shared.identity import admin
from shared.identity.scopes import AREAS

SECRETS = "secrets.json"
DEMO = "demo.json"


@contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The settings with what is missing filled in; the embedded database runs as long as the block."""
    data_dir = Path(environ.get("ARPILOT_DATA_DIR") or ".arpilot").absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    filled = {
        "ARPILOT_BUS_URL": "local:",
        "ARPILOT_LOG_FORMAT": "console",
        "ARPILOT_WEBHOOKS_ALLOW_INSECURE": "true",
        "ARPILOT_NOTIFIER_MAIL_DIR": str(data_dir / "mail"),
        "ARPILOT_BLOBS_URL": str(data_dir / "blobs"),
        **_secrets(data_dir / SECRETS),
        **{name: value for name, value in environ.items() if value},
        "ARPILOT_DATA_DIR": str(data_dir),
    }
    if filled.get("ARPILOT_DATABASE_URL"):
        yield filled
        return
    with postgres(data_dir) as server:
        yield {**filled, "ARPILOT_DATABASE_URL": server.url()}


def _secrets(path: Path) -> dict[str, str]:
    """The secrets of this data directory, made at the first start and readable by its owner only."""
    if not path.exists():
        made = {
            "ARPILOT_SECRET_KEY": secrets.token_urlsafe(48),
            "ARPILOT_ENCRYPTION_KEYS": f"local:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file, indent=2)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded


async def demo_tenant(dsn: str, data_dir: Path, base_url: str) -> tuple[dict[str, object], bool]:
    """The demo tenant and its key, made at the first start; writes `demo.json`. Returns it and whether it is new."""
    path = data_dir / DEMO
    known = json.loads(path.read_text()) if path.exists() else {}
    conn = await asyncpg.connect(dsn)
    try:
        fresh = not await conn.fetchval(
            "select true from identity.tenants where tenant_id::text = $1", str(known.get("tenant_id"))
        )
        if fresh:
            known = await _new_demo(conn)
    finally:
        await conn.close()
    demo: dict[str, object] = {**known, "base_url": base_url, "database_url": dsn, "pid": os.getpid()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(demo, file, indent=2)
    return demo, fresh


async def _new_demo(conn: admin.Owner) -> dict[str, object]:
    tenant_id = await admin.create_tenant(
        conn, name="Demo Company", live=False, tier="pro", timezone="UTC", currency="USD", email="demo@example.com"
    )
    key = await admin.create_key(conn, tenant_id, name="demo", scopes=AREAS)
    return {"api_key": key, "tenant_id": str(tenant_id)}
