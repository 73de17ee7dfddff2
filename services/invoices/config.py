"""Settings of the invoices service."""

from shared.config import ServiceConfig


class InvoicesConfig(ServiceConfig, frozen=True, kw_only=True):
    """Nothing beyond what every service has."""
