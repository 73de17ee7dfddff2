"""The public API from outside, for commands: where it is, which key to use, and how to ask."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click

from shared.config import WrongSetting

DEMO = "demo.json"
"""What `run all` leaves in its data directory: `base_url` and `api_key` of the demo tenant."""
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)
MAX_WAITS = 30
"""How often a request waits because of a rate limit or a part that is away, before the command gives up."""


class ApiRefused(click.ClickException):
    """The API refused a request; the message is its own."""


class Api:
    """An open connection to the API as one tenant."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, **parameters: object) -> Any:
        """Ask for something; returns the decoded answer."""
        return await self._send("GET", path, params={name: str(value) for name, value in parameters.items()})

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:
        """Do something. With an idempotency key it may be repeated without harm."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return await self._send("POST", path, data=content, headers=headers)

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """Do something with any method."""
        content = None if body is None else json.dumps(body)
        return await self._send(method, path, data=content, headers={"Content-Type": "application/json"})

    async def send(self, path: str, content: AsyncIterator[bytes], **parameters: str) -> Any:
        """Send a long body as a stream, once."""
        async with self._session.post(path, data=content, params=parameters) as response:
            return await _decoded(response)

    async def _send(self, method: str, path: str, **request: Any) -> Any:
        for _ in range(MAX_WAITS):
            async with self._session.request(method, path, **request) as response:
                if response.status not in (429, 503):
                    return await _decoded(response)
                await asyncio.sleep(float(response.headers.get("Retry-After", "1")))
        raise ApiRefused(f"{path} has been too busy for too long; try again later.")


async def _decoded(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    try:
        answer = json.loads(text)
    except ValueError:
        raise ApiRefused(f"{response.url} answered {response.status} and no JSON: is this ARPilot?") from None
    if response.status >= 400:
        raise ApiRefused(str(answer.get("detail", text)))
    return answer


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncIterator[Api]:
    """Connect to the API; what cannot be reached is said in one line."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with aiohttp.ClientSession(url, headers=headers, timeout=TIMEOUT) as session:
            yield Api(session)
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        raise ApiRefused(f"{url} cannot be reached: {str(error) or 'no answer in time'}") from None


def place(url: str | None, key: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Find URL and key: as given, else from ARPILOT_API_URL and ARPILOT_API_KEY, else those of `run all`."""
    url, key = url or environ.get("ARPILOT_API_URL"), key or environ.get("ARPILOT_API_KEY")
    if url and key:
        return url, key
    demo = _demo(Path(environ.get("ARPILOT_DATA_DIR") or ".arpilot") / DEMO)
    if not demo:
        raise WrongSetting("ARPILOT_API_URL and ARPILOT_API_KEY are not set, and no ARPilot runs from this directory.")
    return url or demo["base_url"], key or demo["api_key"]


def _demo(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded
