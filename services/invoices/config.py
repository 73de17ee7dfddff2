"""Settings of the invoices service."""

from typing import Annotated, Literal

from msgspec import Meta

from shared.config import ServiceConfig


class InvoicesConfig(ServiceConfig, frozen=True, kw_only=True):
    """What the invoices service has of its own: how customers pay on the hosted page, and what it remembers."""

    payment_provider: Annotated[
        Literal["none", "sandbox", "stripe"] | None,
        Meta(
            description="who takes money on the hosted page; `sandbox`, which moves none, by default on the local bus"
        ),
    ] = None
    stripe_secret_key: Annotated[str | None, Meta(description="Stripe's secret key, `sk_live_…`")] = None
    stripe_webhook_secret: Annotated[
        str | None, Meta(description="secret of the Stripe endpoint `<public url>/providers/stripe`, `whsec_…`")
    ] = None
    stripe_url: Annotated[str, Meta(description="where Stripe's API is")] = "https://api.stripe.com"
    answers_bytes: Annotated[
        int, Meta(ge=0, description="memory for answers about unchanged invoices; 0 keeps none")
    ] = 8 * 1024 * 1024
