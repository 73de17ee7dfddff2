"""What a payment provider does for us: take a customer's money on a page of its own, and tell us."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be paid, and where the customer comes back to."""

    checkout_id: UUID
    amount_cents: int
    currency: str
    title: str
    customer_email: str | None
    success_url: str
    cancel_url: str
    may_keep_method: bool
    """Whether the payment method may be kept for automatic payment; never for an invoice that is excluded from it."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's page for an order."""

    id: str
    url: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session."""

    session_id: str
    status: Literal["paid", "failed"]
    amount_cents: int
    currency: str
    payer_name: str | None = None


class Provider(Protocol):
    """A payment provider."""

    name: str

    async def open_session(self, order: Order) -> Session:
        """Prepare the provider's page; raises ProviderAway. The same order again gives the same session."""

    def read(self, raw: bytes, headers: Mapping[str, str], *, now: datetime) -> Outcome | None:
        """What a message of the provider means, None where it means nothing to us; raises ProviderUnsigned."""
