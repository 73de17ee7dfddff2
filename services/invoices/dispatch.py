"""Actions on an invoice, by path and by `?action=`: both forms do the same thing."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from services.invoices.issuing.api import ONE, WRITE, Action
from services.invoices.issuing.errors import UnknownAction
from services.invoices.issuing.requests import Nothing
from services.invoices.settlement.errors import InvoiceUnknown
from services.invoices.settlement.events import Invoice
from shared.http import bodies
from shared.http.calls import Call
from shared.http.routes import BULK_BYTES, Handler, Route


class ActionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which action."""

    action: str = ""


def routes(by_path: Mapping[str, Action], by_query: Mapping[str, Action]) -> tuple[Route, ...]:
    """A route for each action of `by_path`, and one that takes every action of both by name."""
    paths = tuple(
        Route(
            "POST",
            f"{ONE}/{name}",
            action.handler,
            scope=WRITE,
            body=action.body,
            body_optional=action.body is Nothing,
            returns=Invoice,
            status=action.status,
            refuses=(InvoiceUnknown, *action.refuses),
        )
        for name, action in by_path.items()
    )
    return (*paths, _by_name({**by_path, **by_query}))


def _by_name(known: Mapping[str, Action]) -> Route:
    refuses = {refusal: None for action in known.values() for refusal in action.refuses}
    return Route(
        "POST",
        ONE,
        _dispatcher(known),
        scope=WRITE,
        raw_body=True,
        takes=("application/json",),
        max_bytes=BULK_BYTES,
        query=ActionQuery,
        returns=Invoice,
        refuses=(UnknownAction, InvoiceUnknown, *refuses),
    )


def _dispatcher(known: Mapping[str, Action]) -> Handler:
    async def act(call: Call[Any, ActionQuery]) -> web.StreamResponse:
        """Do something to an invoice, named by `action`.

        The same as the path of that name: the body and the answer are the same.
        """
        action = known.get(call.query.action)
        if action is None:
            raise UnknownAction(action=repr(call.query.action), known=", ".join(known), field="action")
        raw = call.raw or b"{}" if action.body is Nothing else call.raw
        call.body = bodies.decode_body(raw, action.body)
        response: web.StreamResponse = await action.handler(call)
        return response

    return act
