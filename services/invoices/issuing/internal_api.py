"""What the customers service asks before it deletes a customer."""

from uuid import UUID

import msgspec
from aiohttp import web

from services.invoices.issuing import closing
from services.invoices.issuing.closing import Balance, Closed
from services.invoices.settlement import actions as settlement
from shared.http.calls import Call
from shared.http.routes import Route


class TenantQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose customer."""

    tenant_id: UUID


async def customer_balance(call: Call[None, TenantQuery]) -> web.StreamResponse:
    """What a customer still owes."""
    async with call.connection() as conn:
        return call.reply(await closing.balance(conn, call.query.tenant_id, call.id("customer_id")))


async def close_customer(call: Call[TenantQuery, None]) -> web.StreamResponse:
    """Unapply what was paid on a customer's open invoices and void them."""
    async with call.transaction() as conn:
        moment = await settlement.moment(conn, call.body.tenant_id, call.now)
        closed = await closing.close(conn, call.body.tenant_id, call.id("customer_id"), moment=moment)
        return call.reply(closed)


ROUTES = (
    Route(
        "GET",
        "/internal/customers/{customer_id}/balance",
        customer_balance,
        internal=True,
        query=TenantQuery,
        returns=Balance,
    ),
    Route(
        "POST",
        "/internal/customers/{customer_id}/close",
        close_customer,
        internal=True,
        body=TenantQuery,
        returns=Closed,
    ),
)
