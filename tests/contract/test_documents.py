"""The contract with clients in words: what the documents say of the API is what the API is."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from services import catalog
from shared.config import Settings
from shared.http import openapi
from shared.identity import oauth
from tests.security.surface import ROUTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
DOCUMENT: dict[str, Any] = openapi.document(
    [route for service in catalog.find() for route in service.routes] + list(oauth.ROUTES), version="1"
)
OPERATIONS = [(method.upper(), path) for path, found in DOCUMENT["paths"].items() for method in found]
SETTING = re.compile(r"ARPILOT_[A-Z_]+[A-Z]")
FORMATS = {"json": "application/json", "csv": "text/csv", "pdf": "application/pdf", "xml": "application/xml"}
GUIDES = [
    path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "decisions" not in path.parts
]


def table() -> set[tuple[str, str]]:
    """The calls that docs/api.md names, `GET /v1/things/{id}` with any name for the id."""
    named = set()
    for methods, path in re.findall(r"`([A-Z][A-Z, ]*) (/[^`\s?]*)", PAGE):
        named |= {(method, shape(path)) for method in methods.split(", ")}
    return named


def shape(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"{\w+}", "{}", path)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(each) for each in OPERATIONS])
def test_every_call_of_the_openapi_document_is_named_in_the_guide(method: str, path: str) -> None:
    same = {"PUT": "PATCH"}.get(method, method)

    assert {(method, shape(path)), (same, shape(path))} & table()


def test_the_guide_names_no_call_that_there_is_not() -> None:
    known = {(method, shape(path)) for method, path in OPERATIONS}
    apart = {"/openapi.json", "/asyncapi.json", "/docs", "/healthz", "/readyz", "/metrics"}

    assert not {call for call in table() - known if call[1] not in apart}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_a_guide_names_only_addresses_that_there_are(guide: Path) -> None:
    known = {shape(route.path) for route in ROUTES}
    named = re.findall(
        r"(?<![\w.:/])(/(?:v1|internal|pay|files|unsubscribe|providers|oauth)/[\w/{}.-]*)", guide.read_text()
    )

    assert not [path for path in named if not leads_somewhere(shape(path), known)]


def leads_somewhere(path: str, known: set[str]) -> bool:
    """Whether it is an address, or the beginning of several, with or without real ids."""
    wanted = path.rstrip("/.").split("/")
    for one in known:
        parts = one.split("/")[: len(wanted)]
        if len(parts) == len(wanted) and all(p in (w, "{}") or w == "{}" for p, w in zip(parts, wanted, strict=True)):
            return True
    return False


def settings() -> set[str]:
    """Every variable that something reads."""
    kinds: dict[str, type[msgspec.Struct]] = {"ARPILOT_": Settings}
    kinds |= {f"ARPILOT_{service.name.upper()}_": service.config for service in catalog.find()}
    known = {prefix + name.upper() for prefix, kind in kinds.items() for name in kind.__struct_fields__}
    tools = (
        file for place in ("tests", "bench", "deploy", "docs/examples", "services") for file in files(ROOT / place)
    )
    named = {name for file in tools for name in SETTING.findall(file.read_text())}
    return known | named | {f"ARPILOT_{name.upper()}_URL" for name in catalog.NAMES} | {"ARPILOT_X"}


def files(folder: Path) -> Iterator[Path]:
    """Programs, and what is set for them."""
    yield from (file for kind in ("*.py", "*.yaml", "*.sh") for file in folder.rglob(kind))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_a_guide_names_only_settings_that_there_are(guide: Path) -> None:
    known = settings()
    named = set(SETTING.findall(guide.read_text()))

    assert not {name for name in named if not {name, name.removesuffix("_FILE")} & known and not prefix_of(name, known)}


def prefix_of(name: str, known: set[str]) -> bool:
    """Whether it is how several begin, `ARPILOT_WEBHOOKS_…`."""
    return any(other.startswith(f"{name}_") for other in known)


def test_what_a_format_can_ask_for_is_a_content_type_of_the_answer() -> None:
    for route in ROUTES:
        hints = typing.get_type_hints(route.query) if route.query else {}
        if typing.get_origin(hints.get("format")) is not Literal:
            continue
        answers = DOCUMENT["paths"][route.path][route.method.lower()]["responses"][str(route.status)]["content"]
        assert set(answers) == {FORMATS[name] for name in typing.get_args(hints["format"])}, route.path


def test_a_bank_file_may_be_sent_as_what_it_is() -> None:
    content = DOCUMENT["paths"]["/v1/payments/import"]["post"]["requestBody"]["content"]

    assert {"multipart/form-data", "text/csv", "application/x-ofx", "application/xml"} <= set(content)
    assert set(content["multipart/form-data"]["schema"]["properties"]) == {"file", "format", "mapping"}
