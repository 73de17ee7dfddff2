"""`POST /oauth/token`: access tokens by the client credentials grant (RFC 6749, section 4.4)."""

import base64
import binascii
from urllib.parse import parse_qs, unquote_plus

import msgspec
from aiohttp import web

from shared.errors import BadRequest, Unauthorized
from shared.http.calls import Call
from shared.http.routes import Route
from shared.identity import scopes, tokens
from shared.identity.callers import Caller, by_client


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token and how long it is good for."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class UnsupportedGrant(BadRequest, code="unsupported_grant_type"):
    """Only `grant_type=client_credentials` is supported."""


class InvalidScope(BadRequest, code="invalid_scope"):
    """This client may not have the scope {scope}."""


class InvalidClient(Unauthorized, code="invalid_client"):
    """The client id or secret is wrong."""


class _Form(msgspec.Struct, frozen=True):
    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""


async def issue_token(call: Call[None, None]) -> web.StreamResponse:
    """Exchange a client id and secret for an access token.

    Form-encoded: `grant_type=client_credentials`, optional `scope`; the client's id and secret in HTTP Basic or in
    the form. The answer is that of RFC 6749, without `data`.
    """
    form = _form(call.raw)
    if form.grant_type != "client_credentials":
        raise UnsupportedGrant(field="grant_type")
    client_id, secret = _basic(call.request.headers.get("Authorization", "")) or (form.client_id, form.client_secret)
    async with call.connection() as conn:
        caller = await by_client(conn, client_id, secret)
    if caller is None:
        raise InvalidClient
    granted = _granted(caller, form.scope)
    token = tokens.sign(
        call.runtime.settings.secret_key,
        tokens.ACCESS,
        {"sub": client_id, "scope": " ".join(granted)},
        now=call.now,
        seconds=tokens.ACCESS_SECONDS,
    )
    answer = AccessToken(
        access_token=token,
        token_type="Bearer",  # noqa: S106  the type, not a token
        expires_in=tokens.ACCESS_SECONDS,
        scope=" ".join(granted),
    )
    response = call.answer(msgspec.structs.asdict(answer))
    response.headers["Cache-Control"] = "no-store"
    return response


def _form(raw: bytes) -> _Form:
    try:
        values = parse_qs(raw.decode(), max_num_fields=20)
    except ValueError:
        values = {}
    return msgspec.convert({name: items[0] for name, items in values.items()}, _Form)


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidClient from None
    return unquote_plus(client_id), unquote_plus(secret)


def _granted(caller: Caller, asked: str) -> list[str]:
    for scope in asked.split():
        if not scopes.expand([scope]) <= caller.rights or scope not in scopes.ALL:
            raise InvalidScope(scope=scope, field="scope")
    return asked.split() or sorted(caller.rights)


ROUTES = (
    Route(
        "POST",
        "/oauth/token",
        issue_token,
        public=True,
        raw_body=True,
        takes=("application/x-www-form-urlencoded",),
        returns=AccessToken,
        refuses=(UnsupportedGrant, InvalidScope, InvalidClient),
    ),
)
