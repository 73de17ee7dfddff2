"""Settings of the customers service."""

from shared.config import ServiceConfig


class CustomersConfig(ServiceConfig, frozen=True, kw_only=True):
    """Nothing beyond what every service has."""
