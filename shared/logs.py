"""Structured logs: JSON for machines, readable on a terminal; request id, tenant and trace come from the context."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(r"(ark_(?:live|test)_|whsec_|Bearer )[A-Za-z0-9._~+/=-]{4,}")


def configure(*, log_format: str, log_level: str) -> None:
    """Send every log line of the process, the libraries' too, through one renderer to standard error."""
    level = getattr(logging, log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers(log_format))
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in ("aiormq", "aio_pika", "asyncio", "yoyo", "botocore"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    # our own edge logs what fails in a handler; what is left are bytes that are no HTTP, a traceback each
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "json":
        return [remove, structlog.processors.format_exc_info, _without_secrets, structlog.processors.JSONRenderer()]
    return [
        remove,
        _without_secrets,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the other one prints variables, secrets among them
        ),
    ]


def _without_secrets(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence: a token that reached a log line by mistake is cut down to its prefix."""
    for key, value in event.items():
        if isinstance(value, str) and _SECRET.search(value):
            event[key] = _SECRET.sub(r"\1…", value)
    return event
