"""The providers that a process has, and the choice among them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from services.invoices.config import InvoicesConfig
from services.invoices.rendering.providers.provider import Provider
from services.invoices.rendering.providers.sandbox import Sandbox
from services.invoices.rendering.providers.stripe import StripeCheckout
from shared.app import Runtime
from shared.config import WrongSetting


class Providers:
    """Which provider takes whose money. A test tenant's customers only ever see the sandbox."""

    def __init__(self, real: Provider | None, sandbox: Sandbox | None) -> None:
        self.real = real
        self.sandbox = sandbox

    def of(self, *, live: bool) -> Provider | None:
        """The provider for a tenant's invoices; None where there is none."""
        return self.real or self.sandbox if live else self.sandbox or Sandbox()


@asynccontextmanager
async def providers(runtime: Runtime) -> AsyncIterator[object]:
    """The resource: raises WrongSetting for half a provider. `make run` pays in the sandbox."""
    config = runtime.config
    assert isinstance(config, InvoicesConfig)
    chosen = config.payment_provider or ("sandbox" if runtime.settings.bus_url == "local:" else "none")
    if chosen != "stripe":
        yield Providers(None, Sandbox() if chosen == "sandbox" else None)
        return
    if not config.stripe_secret_key or not config.stripe_webhook_secret:
        raise WrongSetting(
            "ARPILOT_INVOICES_PAYMENT_PROVIDER is stripe, but ARPILOT_INVOICES_STRIPE_SECRET_KEY or "
            "ARPILOT_INVOICES_STRIPE_WEBHOOK_SECRET is not set."
        )
    async with aiohttp.ClientSession() as session:
        yield Providers(
            StripeCheckout(
                session,
                secret_key=config.stripe_secret_key,
                webhook_secret=config.stripe_webhook_secret,
                api=config.stripe_url,
            ),
            None,
        )
