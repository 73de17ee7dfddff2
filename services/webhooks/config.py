"""Settings of this service (`ARPILOT_WEBHOOKS_…`)."""

from typing import Annotated

from msgspec import Meta

from shared.config import ServiceConfig


class WebhooksConfig(ServiceConfig, frozen=True, kw_only=True):
    """Where webhooks may go, and how much is sent at once."""

    allow_insecure: Annotated[bool, Meta(description="allow http and private addresses; for development only")] = False
    ca_file: Annotated[str | None, Meta(description="certificates to trust instead of the system's")] = None
    concurrency: Annotated[
        int, Meta(ge=1, le=10_000, description="deliveries in flight or not yet recorded, of one process")
    ] = 1000
    concurrency_per_tenant: Annotated[int, Meta(ge=1, description="of these, for one tenant")] = 500
    concurrency_per_endpoint: Annotated[int, Meta(ge=1, description="of these, for one endpoint")] = 20
    lease_seconds: Annotated[
        float, Meta(gt=0, description="after which the work of a dispatcher that has died is taken over")
    ] = 10.0
    stop_seconds: Annotated[float, Meta(ge=0, description="how long a stop waits for deliveries in flight")] = 10.0
    retention_days: Annotated[int, Meta(ge=7, le=3650, description="how long events and deliveries are kept")] = 30
