"""Customers as their owner tells about them."""

from services.invoices.recipients.actions import remember
from shared.inbox import Subscription

SUBSCRIPTIONS = (
    Subscription("customer.created", remember),
    Subscription("customer.updated", remember),
)
