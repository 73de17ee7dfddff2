"""The services that there are; loaded only when asked for, so that one service does not pay for the others."""

from importlib import import_module

from shared.app import Service

NAMES = ("customers", "invoices", "payments", "webhooks", "notifier")


def find(names: tuple[str, ...] = NAMES) -> list[Service]:
    """The tables of the named services."""
    services = [import_module(f"services.{name}.app").SERVICE for name in names]
    assert all(isinstance(service, Service) for service in services)
    return services
