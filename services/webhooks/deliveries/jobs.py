"""Retention: whole weeks of events, deliveries and attempts are dropped; weeks to come are made ahead."""

from datetime import timedelta

import structlog

from services.webhooks.config import WebhooksConfig
from services.webhooks.deliveries import store
from services.webhooks.log import store as log_store
from shared import clock
from shared.app import Runtime
from shared.jobs import Job

log = structlog.get_logger("retention")


async def keep_history(runtime: Runtime) -> None:
    """Forget what is older than the retention."""
    config = runtime.config
    assert isinstance(config, WebhooksConfig)
    keep_from = clock.now() - timedelta(days=config.retention_days)
    async with runtime.database.transaction() as conn:
        dropped = await log_store.keep_weeks(conn, keep_from)
    async with runtime.database.transaction() as conn:
        await log_store.sweep(conn, keep_from)
        await store.sweep(conn, keep_from)
    if dropped:
        log.info("dropped", partitions=dropped)


JOBS = (Job("keep_history", every_seconds=3600, run=keep_history),)
