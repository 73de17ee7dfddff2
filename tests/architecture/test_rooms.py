"""The rules of the house, read from the source (docs/architecture.md)."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.catalog import NAMES

ROOT = Path(__file__).parents[2]
SERVICE_FILES = sorted(path for name in NAMES for path in (ROOT / "services" / name).rglob("*.py"))
SHARED_FILES = sorted((ROOT / "shared").rglob("*.py"))

RANKS = {"errors": 0, "model": 1, "events": 1, "store": 2, "actions": 3, "api": 4, "consumers": 4, "jobs": 4}
EDGES = {"api", "jobs", "app", "asking", "bulk", "commands", "dispatcher", "presence"}
"""Rooms that open transactions; `…_api` too. `conn.transaction()` elsewhere is a savepoint inside its caller's."""
PURE = {"errors", "model", "events"}
INPUT_AND_OUTPUT = {"asyncio", "asyncpg", "aiohttp", "aiosmtplib", "aio_pika", "socket", "subprocess", "pycurl", "os"}
OWN_CONSTANTS = re.compile(
    r"_?[A-Z][A-Z0-9_]*(\[.*\])?|\w*where\.sql|suffix|locking|sets|table|column"
    r"|', '\.join\(\(f'\$\{n\}' for n in .*\)\)|len\(.*\)( [+-] \d+)?"
)
"""What may be put into a SQL text: constants, conditions of `Where`, a choice among constants, parameter numbers."""
WRITES = re.compile(r"\b(?:insert\s+into|update|delete\s+from)\s+(?:only\s+)?([a-z_]+)\b(?!\s*\.)", re.IGNORECASE)
IS_SQL = re.compile(
    r"^\s*(?:select|insert into|update|delete from|with)\s(?=.*\b(?:from|set|into)\b)", re.IGNORECASE | re.DOTALL
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, `from a import b` as `a.b` too, those for type checking left out."""
    hidden = {
        id(node)
        for branch in ast.walk(parsed(path))
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(parsed(path)):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
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
    opened = re.search(r"(database|call)\.transaction\(\)", path.read_text())

    assert not opened or room(path) in EDGES or room(path).endswith("_api")


def texts(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_sql_that_writes_stands_in_stores(path: Path) -> None:
    written = [text for text in texts(path) if IS_SQL.match(text) and WRITES.search(text)]

    assert not written or room(path).endswith("store")


CHANGES = re.compile(r"\b(insert\s+into|update|delete\s+from)\s+(?:only\s+)?([a-z_]+)\b(?!\s*\.)", re.IGNORECASE)
NO_TABLES = {"set", "of", "skip"}
"""What follows `update` in `on conflict do update set` and `for update of … skip locked`."""
TWO_WRITERS = {("invoices", "invoices"), ("invoices", "line_items")}
"""Issuing writes an invoice with its lines the first time, in one statement; settlement writes every change."""


def test_a_table_has_one_writer() -> None:
    writers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in SERVICE_FILES:
        for text in texts(path) if room(path).endswith("store") else ():
            for _, table in CHANGES.findall(text) if IS_SQL.match(text) else ():
                service, folder = path.relative_to(ROOT).parts[1], str(path.parent.relative_to(ROOT))
                writers[service, table].add(folder)

    shared = {key: folders for key, folders in writers.items() if len(folders) > 1 and key[1] not in NO_TABLES}
    assert shared.keys() <= TWO_WRITERS, shared


def interpolations(path: Path) -> Iterator[str]:
    """The expressions that are put into SQL texts."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.JoinedStr):
            literal = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if re.match(r"\s*(select|insert|update|delete|with|order by|limit)\b", literal, re.IGNORECASE):
                yield from [ast.unparse(p.value) for p in node.values if isinstance(p, ast.FormattedValue)]


@pytest.mark.parametrize("path", SERVICE_FILES, ids=relative)
def test_only_constants_of_our_own_are_put_into_sql(path: Path) -> None:
    loose = [expression for expression in interpolations(path) if not OWN_CONSTANTS.fullmatch(expression)]

    assert not loose
