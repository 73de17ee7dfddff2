"""The rules of the house, read from the source (docs/architecture.md)."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.catalog import NAMES

ROOT = Path(__file__).parents[2]
SERVICE_FILES = sorted(path for name in NAMES for path in (ROOT / "services" / name).rglob("*.py"))
SHARED_FILES = sorted((ROOT / "shared").rglob("*.py"))

RANKS = {"errors": 0, "model": 1, "events": 2, "store": 3, "actions": 4, "api": 5, "consumers": 5, "jobs": 5}
PURE = {"errors", "model", "events"}
INPUT_AND_OUTPUT = {"asyncio", "asyncpg", "aiohttp", "aiosmtplib", "aio_pika", "socket", "subprocess", "pycurl", "os"}
WRITES = re.compile(r"\b(?:insert\s+into|update|delete\s+from)\s+(?:only\s+)?([a-z_]+)\b(?!\s*\.)", re.IGNORECASE)
IS_SQL = re.compile(r"^\s*(?:select|insert into|update|delete from|with)\s", re.IGNORECASE)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, `from a import b` as `a.b` too, those for type checking left out."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_no_service_imports_another(path: Path) -> None:
    own = path.relative_to(ROOT).parts[1]
    foreign = [name for name in imports(path) if re.match(rf"services\.(?!{own}\b)({'|'.join(NAMES)})\b", name)]

    assert not foreign


@pytest.mark.parametrize("path", SHARED_FILES, ids=relative)
def test_shared_imports_no_service(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] == "services"]


def room(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", [path for path in SERVICE_FILES if room(path) in RANKS], ids=relative)
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    upward = []
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "services" and parts[-1] in RANKS and (ROOT / Path(*parts)).with_suffix(".py").exists():
            upward += [name] if RANKS[parts[-1]] > RANKS[room(path)] else []

    assert not upward


@pytest.mark.parametrize("path", [path for path in SERVICE_FILES if room(path) in PURE], ids=relative)
def test_pure_rooms_do_no_input_or_output(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & INPUT_AND_OUTPUT


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_transactions_are_opened_at_the_edge_only(path: Path) -> None:
    opens = ".transaction()" in path.read_text()

    assert not opens or room(path) in {"api", "jobs", "worker"} or "worker" in room(path)


def texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_sql_that_writes_stands_in_stores(path: Path) -> None:
    written = [text for text in texts(path) if IS_SQL.match(text) and WRITES.search(text)]

    assert not written or room(path) == "store"


def test_a_table_has_one_writer() -> None:
    writers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in SERVICE_FILES:
        if room(path) == "store":
            service = path.relative_to(ROOT).parts[1]
            for text in texts(path):
                for table in WRITES.findall(text) if IS_SQL.match(text) else ():
                    writers[service, table].add(relative(path))

    shared = {key: files for key, files in writers.items() if len(files) > 1 and key[1] not in {"set", "of", "skip"}}
    assert not shared


def interpolations(path: Path) -> Iterator[str]:
    """The expressions that are put into SQL texts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            literal = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            if re.match(r"\s*(select|insert|update|delete|with|order by|limit)\b", literal, re.IGNORECASE):
                yield from (ast.unparse(p.value) for p in node.values if isinstance(p, ast.FormattedValue))


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_only_constants_of_our_own_are_put_into_sql(path: Path) -> None:
    """Values are bound. What is put together are constants (capitals), conditions of `Where`, and parameter numbers."""
    loose = [e for e in interpolations(path) if not re.fullmatch(r"_?[A-Z][A-Z0-9_]*(\[.*\])?|\w*where\.sql|suffix", e)]

    assert not loose
