"""What needs no token: links that cannot be altered or outlive their time, and answers that do no harm. Generated."""

import base64
import itertools
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from shared import links
from shared.clock import now
from shared.http.routes import Route
from tests.harness import SECRETS, Answer, Client
from tests.integration.invoices.scenes import an_invoice
from tests.security import surface
from tests.security.estate import Owner
from tests.security.surface import PUBLIC

PURPOSES = {"files": "pdf", "pay": "pay", "unsubscribe": "unsubscribe"}
"""What a link is signed for, by the beginning of its path."""

OBJECTS = {"files": "invoice_id", "pay": "invoice_id", "unsubscribe": "communication_id"}

LINKED = [route for route in PUBLIC if "token" in surface.path_names(route)]
ACCEPTS = ("text/html", "application/json", "")
SECRET = SECRETS["ARPILOT_SECRET_KEY"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def door(route: Route) -> str:
    """The first part of a path."""
    return route.path.split("/")[1]


def ids_of(owner: Owner, token: str) -> dict[str, str]:
    """What public addresses may name."""
    made = {"tenant_id": str(owner.client.tenant_id), "mail_id": owner.ids["communication_id"], "number": "0"}
    return owner.ids | made | {"token": token}


def token_for(owner: Owner, route: Route, *, secret: str = SECRET, lives: timedelta | None = None) -> str:
    """A link as the system signs it."""
    kind = door(route)
    expires_at = now() + lives if lives is not None else None
    thing = UUID(owner.ids[OBJECTS[kind]])
    return links.sign(secret, PURPOSES[kind], owner.client.tenant_id, thing, expires_at=expires_at)


async def follow(owner: Owner, route: Route, token: str, *, accept: str = "") -> Answer:
    """Ask as anybody may, who has no key."""
    headers = {"Authorization": "", "Accept": accept}
    path = surface.address(route, ids_of(owner, token))
    return await owner.client.request(route.method, path, headers=headers, allow_redirects=False)


@pytest_asyncio.fixture(scope="session")
async def opened(owner: Owner) -> Owner:
    """The owner, whose invoice has a document and is about to be paid: every genuine link leads somewhere."""
    invoice_id = owner.ids["invoice_id"]
    await owner.client.post(f"/v1/invoices/{invoice_id}?action=generate_pdf")
    link = (await owner.client.get(f"/v1/invoices/{invoice_id}/payment-link")).data["url"].rpartition("/")[2]
    checkout = await owner.client.post(f"/pay/{link}/checkout", allow_redirects=False)
    return replace(owner, ids=owner.ids | {"checkout_id": checkout.headers["Location"].rpartition("/")[2]})


def harmless(answer: Answer) -> None:
    """Whatever was answered can do nothing in a browser but be read."""
    headers = answer.headers
    kind = headers.get("Content-Type", "").partition(";")[0]
    assert headers["X-Content-Type-Options"] == "nosniff", answer
    assert "Set-Cookie" not in headers, answer
    if kind == "text/html":
        assert "default-src 'none'" in headers["Content-Security-Policy"], answer
        assert "script-src" not in headers["Content-Security-Policy"], answer
        assert "base-uri 'none'" in headers["Content-Security-Policy"], answer
        assert headers["Referrer-Policy"] == "no-referrer", answer
        assert b"<script" not in answer.body.lower(), answer
    if "Location" in headers:
        assert headers["Location"].startswith(("/pay/", "http://127.0.0.1:")), answer


@pytest.mark.parametrize("route", PUBLIC, ids=surface.name)
async def test_whatever_is_answered_without_a_key_is_harmless(route: Route, opened: Owner) -> None:
    tokens = [token_for(opened, route)] if route in LINKED else []
    for token, accept in itertools.product([*tokens, "made-up"], ACCEPTS):
        answer = await follow(opened, route, token, accept=accept)
        assert answer.status < 500, answer
        assert route not in LINKED or (answer.status == 404) == (token == "made-up"), answer
        harmless(answer)


@pytest.mark.parametrize("path", ["/docs", "/docs/webhooks", "/openapi.json", "/asyncapi.json", "/healthz", "/nowhere"])
async def test_what_everybody_may_read_is_harmless(opened: Owner, path: str) -> None:
    harmless(await opened.client.get(path, headers={"Authorization": ""}))


@pytest.mark.parametrize("route", LINKED, ids=surface.name)
async def test_a_link_that_is_not_ours_leads_nowhere(route: Route, opened: Owner) -> None:
    genuine = token_for(opened, route)
    strange = [
        token_for(opened, route, secret="another secret, long enough to be one"),
        token_for(opened, route, lives=timedelta(seconds=-1)),
        *(token_for(opened, other) for other in LINKED if door(other) != door(route)),
        *(genuine + more for more in ("=", "A", ".", "%20", "%0a", "%00")),
        genuine[:-1],
        genuine[1:],
        base64.urlsafe_b64encode(bytes(53)).decode().rstrip("="),
        "A" * 5000,
    ]

    for token in strange:
        answer = await follow(opened, route, token)
        assert answer.status == 404, f"{token} {answer}"
        harmless(answer)


@pytest.mark.parametrize("route", [route for route in LINKED if route.method == "GET"], ids=surface.name)
@pytest.mark.parametrize("lives", [None, timedelta(hours=1)], ids=["for ever", "for an hour"])
async def test_no_letter_of_a_link_can_be_changed(route: Route, lives: timedelta | None, opened: Owner) -> None:
    """Neither whose or what it is of, nor how long it lives, nor its signature."""
    token = token_for(opened, route, lives=lives)
    assert (await follow(opened, route, token)).status == 200

    for place, letter in enumerate(token):
        other = ALPHABET[(ALPHABET.index(letter) + 1 + place % 62) % 64]
        answer = await follow(opened, route, token[:place] + other + token[place + 1 :])
        assert answer.status == 404, f"{place} {answer}"


async def test_a_link_to_a_document_opens_it_until_it_ends_and_cannot_be_made_to_live_longer(client: Client) -> None:
    invoice = await an_invoice(client)
    await client.post(f"/v1/invoices/{invoice['id']}?action=generate_pdf")
    given = (await client.get(f"/v1/invoices/{invoice['id']}/pdf-link")).data
    token = given["url"].rpartition("/")[2]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    longer = raw[:32] + (int.from_bytes(raw[32:37], "big") + 86400).to_bytes(5, "big") + raw[37:]
    for_ever = raw[:32] + raw[37:]

    assert (await client.get(f"/files/{token}", headers={"Authorization": ""})).body.startswith(b"%PDF-")
    for changed in (longer, for_ever):
        text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        assert (await client.get(f"/files/{text}")).status == 404
    invoice_id = UUID(invoice["id"])
    late = links.sign(SECRET, "pdf", client.tenant_id, invoice_id, expires_at=now() - timedelta(seconds=1))
    assert (await client.get(f"/files/{late}")).status == 404


def test_every_public_address_with_a_token_is_tried() -> None:
    assert {door(route) for route in LINKED} == set(PURPOSES)
