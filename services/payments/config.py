"""Settings of the payments service."""

from shared.config import ServiceConfig


class PaymentsConfig(ServiceConfig, frozen=True, kw_only=True):
    """Nothing beyond what every service has."""
