"""A provider that moves no money: a page of our own with two buttons, for `make run` and for test tenants."""

from collections.abc import Mapping
from datetime import datetime

from services.invoices.rendering.errors import ProviderUnsigned
from services.invoices.rendering.providers.provider import Order, Outcome, Session


class Sandbox:
    """Pays whatever the button says."""

    name = "sandbox"

    async def open_session(self, order: Order) -> Session:
        """The page lies beside the invoice's own."""
        return Session(id=f"sandbox_{order.checkout_id}", url=f"{order.cancel_url}/sandbox/{order.checkout_id}")

    def read(self, raw: bytes, headers: Mapping[str, str], *, now: datetime) -> Outcome | None:  # noqa: ARG002 - one interface
        """It sends no messages: its page tells us itself."""
        raise ProviderUnsigned
