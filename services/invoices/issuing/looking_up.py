"""Looking up what a request names, before the transaction that writes."""

from typing import Any
from uuid import UUID

from services.invoices.issuing.creating import Creating
from services.invoices.issuing.model import Facts
from services.invoices.issuing.store import Names
from services.invoices.recipients import asking
from shared.http.calls import Call


async def facts_for(call: Call[Any, Any], names: Names) -> Facts:
    """What the tenant has of what is named; a customer that is not known here is asked for from its owner, once."""
    facts = await _load(call, names)
    missing = names.customers - {recipient.customer_id for recipient in facts.recipients}
    if missing and await _ask(call, missing):
        facts = await _load(call, names)
    return facts


async def _load(call: Call[Any, Any], names: Names) -> Facts:
    return await call.runtime.use(Creating).facts(call.caller.tenant_id, names)


async def _ask(call: Call[Any, Any], customers: frozenset[UUID]) -> bool:
    found = [await asking.ask(call.runtime, call.caller.tenant_id, customer_id) for customer_id in customers]
    return any(found)
