"""Structured logs: JSON for machines, readable on a terminal; request id, tenant and trace come from the context."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

context: ContextVar[dict[str, object]] = ContextVar("context", default={})  # noqa: B039  nobody writes to this one
"""What every log line of the work that goes on now says: its request id, its tenant."""

_SECRETS = (
    re.compile(r"((?:ark|sk|rk)_(?:live|test)_|ars_|whsec_|eyJ|(?:Bearer|Basic) )[A-Za-z0-9._~+/=-]{4,}"),
    re.compile(r"(://[^\s:/@]*:)[^\s/@]+(?=@)"),
)
"""Keys, secrets of clients and webhooks, JWTs, headers that carry them, and passwords in addresses of servers."""

_ROW = re.compile(r"(DETAIL: ).*?(?=\n[ |]*+(?:HINT: |Traceback |The above |During |\+-)|\Z)", re.DOTALL)
"""What PostgreSQL says of the row that it refused: all its values, the text of a mail for one."""


def configure(*, log_format: str, log_level: str) -> None:
    """Send every log line of the process, the libraries' too, through one renderer to standard error."""
    level = getattr(logging, log_level.upper())
    shared: list[structlog.typing.Processor] = [
        _add_context,
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
        lines = (structlog.processors.format_exc_info, _without_rows, structlog.processors.JSONRenderer())
        return [remove, *lines, _without_secrets]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the other one prints variables, secrets among them
    )
    return [remove, _without_rows, console, lambda _, __, line: _cut_rows(str(line)), _without_secrets]


def _add_context(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: str(value) for name, value in context.get().items()} | dict(event)


def _without_rows(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What the database says of rows stays with it."""
    return {key: _cut_rows(value) if isinstance(value, str) else value for key, value in event.items()}


def _cut_rows(text: str) -> str:
    return _ROW.sub(r"\1…", text) if "DETAIL: " in text else text


def _without_secrets(_: object, __: str, line: Any) -> str:
    """The last line of defence: a token that reached a log line by mistake is cut down to its prefix."""
    for secret in _SECRETS:
        line = secret.sub(r"\1…", str(line))
    return str(line)
