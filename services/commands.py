"""The sub-commands of `arpilot`, each loaded only when it is used, and what they share."""

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from shared.config import WrongSetting

GROUPS = {
    "demo": "bench.demo:demo",
    "doctor": "services.doctor:doctor",
    "events": "services.events_commands:events",
    "import": "services.payments.imports.command:import_file",
    "key": "services.identity_commands:key",
    "ledger": "services.invoices.ledger.command:ledger_group",
    "oauth-client": "services.identity_commands:oauth_client",
    "outbox": "services.outbox_commands:outbox",
    "tenant": "services.identity_commands:tenant",
    "webhooks": "services.webhooks.commands:webhooks_group",
}


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are asked for."""

    def __init__(self, *args: object, lazy: Mapping[str, str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own parameters, passed on
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it has to be."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), cmd_name
        return command


def owner_url(environ: Mapping[str, str]) -> str:
    """The database as its owner; raises WrongSetting."""
    url = environ.get("ARPILOT_DATABASE_URL") or _of_make_run(environ)
    if not url:
        raise WrongSetting(
            "ARPILOT_DATABASE_URL is not set, and nothing runs here that `make run` has started:"
            " this command needs PostgreSQL as the owner of the schemas."
        )
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise WrongSetting("ARPILOT_DATABASE_URL is wrong: it must begin with postgresql://.")
    return url


def _of_make_run(environ: Mapping[str, str]) -> str | None:
    """The database of `arpilot run all` in the data directory, while it runs."""
    path = Path(environ.get("ARPILOT_DATA_DIR") or ".arpilot") / "demo.json"
    try:
        known = json.loads(path.read_text())
        os.kill(known["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    found: str | None = known.get("database_url")
    return found


def services_url(service: str, environ: Mapping[str, str]) -> str | None:
    """The database as a service's own role, where it is set."""
    return environ.get(f"ARPILOT_{service.upper()}_DATABASE_URL") or None
