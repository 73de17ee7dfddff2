"""The examples of the documentation are programs, and these tests run them against what the dispatcher signs."""

import html
import json
import os
import runpy
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.webhooks.deliveries import signing
from services.webhooks.endpoints.secrets import new_signing_secret, signing_key
from services.webhooks.guide.api import FOLDER, SNIPPETS
from tests.integration.webhooks.house import House

Verify = Callable[[str, dict[str, str], bytes], object]
NPM = Path("tests/samples/npm").resolve()
BODY = '{"id":"1","type":"invoice.created","data":{"memo":"grüezi"}}'.encode()
RUNNER = """
const { verify } = require(process.argv[1]);
const { secret, headers, body } = JSON.parse(process.argv[2]);
process.stdout.write(JSON.stringify(verify(secret, headers, body)));
"""


def in_python(snippet: Path) -> Verify:
    found: Verify = runpy.run_path(str(snippet))["verify"]
    return found


def in_node(snippet: Path) -> Verify:
    def verify(secret: str, headers: dict[str, str], body: bytes) -> object:
        request = json.dumps({"secret": secret, "headers": headers, "body": body.decode()})
        done = subprocess.run(
            ["node", "-e", RUNNER, str(snippet), request],
            env=os.environ | {"NODE_PATH": str(NPM)},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(done.stderr.decode())
        return json.loads(done.stdout)

    return verify


# Node is not needed to build or run ARPilot: where a machine lacks it, its two examples are not among the cases.
RUNNABLE = [name for name in SNIPPETS.values() if name.endswith(".py") or shutil.which("node")]


def verifier(name: str) -> Verify:
    return (in_python if name.endswith(".py") else in_node)(FOLDER / "snippets" / name)


def signed(*secrets: str, timestamp: int | None = None) -> dict[str, str]:
    keys = [signing_key(secret) for secret in secrets]
    lines = signing.headers("msg_1", timestamp or int(time.time()), BODY, keys)
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_example_accepts_what_we_sign_also_while_a_secret_rotates(name: str) -> None:
    verify, secret, other = verifier(name), new_signing_secret(), new_signing_secret()

    for headers in (signed(secret), signed(other, secret), signed(secret, other)):
        assert verify(secret, headers, BODY) == json.loads(BODY)


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_example_refuses_a_forged_changed_or_old_message(name: str) -> None:
    verify, secret = verifier(name), new_signing_secret()

    for headers, body in (
        (signed(new_signing_secret()), BODY),
        (signed(secret), BODY.replace(b"created", b"deleted")),
        (signed(secret, timestamp=int(time.time()) - 3600), BODY),
        (signed(secret) | {"webhook-id": "msg_2"}, BODY),
    ):
        with pytest.raises(Exception, match=r"."):
            verify(secret, headers, body)


async def test_the_page_shows_the_examples_and_the_types_and_needs_no_token(house: House) -> None:
    async with house.session.get(f"{house.base_url}/docs/webhooks") as response:
        page = await response.text()

    assert response.status == 200
    assert response.content_type == "text/html"
    assert "invoice.written_off" in page
    for name in SNIPPETS.values():
        assert (FOLDER / "snippets" / name).read_text().strip() in html.unescape(page)


@pytest.mark.parametrize("name", SNIPPETS.values())
def test_the_guide_in_the_repository_has_the_same_examples(name: str) -> None:
    assert (FOLDER / "snippets" / name).read_text().strip() in Path("docs/webhooks.md").read_text()
