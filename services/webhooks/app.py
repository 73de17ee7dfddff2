"""Telling other systems: endpoints, the event log, deliveries. Wiring."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import api as deliveries_api
from services.webhooks.deliveries import consumers, jobs
from services.webhooks.deliveries.client import Client
from services.webhooks.deliveries.dispatcher import Dispatcher
from services.webhooks.endpoints import api as endpoints_api
from services.webhooks.endpoints import events
from services.webhooks.endpoints.secrets import Keyring
from services.webhooks.guide import api as guide_api
from services.webhooks.log import api as log_api
from shared.app import Runtime, Service


@asynccontextmanager
async def keyring(runtime: Runtime) -> AsyncIterator[Keyring]:
    """The keys that secrets are sealed with."""
    yield Keyring.parse(runtime.settings.encryption_keys)


@asynccontextmanager
async def client(runtime: Runtime) -> AsyncIterator[Client]:
    """The HTTP client that posts to endpoints."""
    config = _config(runtime)
    made = Client(allow_insecure=config.allow_insecure, ca_file=config.ca_file)
    try:
        yield made
    finally:
        made.close()


async def dispatch(runtime: Runtime, stopping: asyncio.Event) -> None:
    """Deliver what is due."""
    dispatcher = Dispatcher(runtime.database, _config(runtime), runtime.use(Keyring), runtime.use(Client))
    await dispatcher.run(stopping)


def _config(runtime: Runtime) -> WebhooksConfig:
    assert isinstance(runtime.config, WebhooksConfig)
    return runtime.config


SERVICE = Service(
    name="webhooks",
    folder=Path(__file__).parent,
    summary="Telling other systems: endpoints, the event log, deliveries",
    config=WebhooksConfig,
    routes=endpoints_api.ROUTES + deliveries_api.ROUTES + log_api.ROUTES + guide_api.ROUTES,
    subscriptions=consumers.SUBSCRIPTIONS,
    jobs=jobs.JOBS,
    workers=(dispatch,),
    resources=(keyring, client),
    events=events.PUBLISHED,
)
