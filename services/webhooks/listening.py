"""`arpilot webhooks listen`: events brought to a developer's machine, without a public URL.

It reads the event log over the public API. Events may be stored a little out of the order of their time, so it looks
back over a minute again and again and remembers which it has seen.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

import aiohttp

from services.webhooks.deliveries import signing
from services.webhooks.endpoints.secrets import signing_key
from shared import clock
from shared.events import matches
from shared.http.outside import Api

POLL_SECONDS = 1.0
LOOK_BACK = timedelta(seconds=60)
FORWARD_TIMEOUT = aiohttp.ClientTimeout(total=30)

Say = Callable[[str], None]


async def listen(api: Api, *, forward_to: str | None, secret: str, patterns: Sequence[str], say: Say) -> None:
    """Print events as they happen and post them to a URL, signed as a webhook would be; runs until it is stopped."""
    async with aiohttp.ClientSession(timeout=FORWARD_TIMEOUT) as session:
        async for event in happening(api, clock.now(), patterns, say):
            line = f"{event['timestamp']}  {event['type']:<32}  {event['id']}"
            outcome = await forward(session, forward_to, event, secret) if forward_to else ""
            say(f"{line}  {outcome}".rstrip())


async def happening(api: Api, since: datetime, patterns: Sequence[str], say: Say) -> AsyncIterator[dict[str, str]]:
    """Events from an instant on, each once."""
    seen: dict[str, float] = {}
    while True:
        try:
            events = await _events(api, max(since, clock.now() - LOOK_BACK))
        except (aiohttp.ClientError, TimeoutError) as error:
            say(f"waiting for ARPilot: {error}")
            events = []
        for event in events:
            if event["id"] not in seen and any(matches(pattern, event["type"]) for pattern in patterns):
                yield event
            seen[event["id"]] = time.monotonic()
        seen = {event: at for event, at in seen.items() if time.monotonic() - at < 2 * LOOK_BACK.total_seconds()}
        await asyncio.sleep(POLL_SECONDS)


async def _events(api: Api, since: datetime) -> list[dict[str, str]]:
    """What the log holds from an instant on, oldest first."""
    found: list[dict[str, str]] = []
    parameters: dict[str, object] = {"created_at_start": since.isoformat(), "sort": "created_at", "order": "asc"}
    while True:
        page = await api.get("/v1/events", limit=100, **parameters)
        found += page["data"]
        if not page["pagination"]["has_next_page"]:
            return found
        parameters["after"] = page["pagination"]["end_cursor"]


async def forward(session: aiohttp.ClientSession, url: str, event: dict[str, str], secret: str) -> str:
    """Post one event; what came of it, in a few words."""
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    lines = signing.headers(str(event["id"]), int(time.time()), body, [signing_key(secret)])
    headers = {"content-type": "application/json"} | dict(line.split(": ", 1) for line in lines)
    started = time.perf_counter()
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"→ {str(error) or 'timed out'}"
    return f"→ {response.status} {_phrase(response.status)} ({round((time.perf_counter() - started) * 1000)} ms)"


def _phrase(status: int) -> str:
    return next((known.phrase for known in HTTPStatus if known == status), "")
