"""Every regular expression of the code, found by reading it, and texts made to take each as long as possible."""

import ast
import importlib
import itertools
import re
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FILES = tuple(sorted(file for part in ("shared", "services") for file in (ROOT / part).rglob("*.py")))
AT_ONCE = {"search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
"""What is done with a pattern, whether `re` does it or a compiled one."""

KILLERS = ("", "\x00", "\n")
"""Ends after which what seemed to match does not."""


class Found(NamedTuple):
    """A pattern, where it stands, and what is done with it."""

    place: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def found() -> Iterator[Found]:
    """Every pattern that stands in a call of `re`."""
    used = uses()
    for file in FILES:
        tree = ast.parse(file.read_text())
        names = {id(node.value): node.targets[0].id for node in ast.walk(tree) if is_named(node)}  # type: ignore[attr-defined]
        for node in ast.walk(tree):
            if not is_call_of_re(node):
                continue
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Attribute)
            method = node.func.attr
            methods = used[names.get(id(node), "")] if method == "compile" else {method}
            place = f"{file.relative_to(ROOT)}:{node.lineno}"
            if isinstance(compiled := evaluated(file, node), re.Pattern):
                yield Found(place, compiled, frozenset(methods) or frozenset(AT_ONCE))


def is_named(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)


def is_call_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in AT_ONCE | {"compile"}
    )


def uses() -> dict[str, set[str]]:
    """The methods that are called on each name, wherever that is."""
    called: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in AT_ONCE:
                called[ast.unparse(node.value).rpartition(".")[2]].add(node.attr)
    return called


def evaluated(file: Path, call: ast.Call) -> "re.Pattern[Any] | None":
    """The pattern itself; None where it is not written down but given."""
    module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    flags = [each for each in call.args[1:] if ast.unparse(each).startswith("re.")]
    flags += [each.value for each in call.keywords if each.arg == "flags"]
    try:
        pattern = eval(ast.unparse(call.args[0]), vars(module))
        return re.compile(pattern, *[eval(ast.unparse(each), vars(module)) for each in flags])
    except NameError:
        return None


def attacks(pattern: "re.Pattern[Any]", length: int) -> Iterator[Any]:
    """Long texts of what the pattern takes, alone and in turns, that go wrong at the end."""
    is_bytes = isinstance(pattern.pattern, bytes)
    text = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
    characters, words = samples(text, pattern.flags & ~re.UNICODE)
    pumps = {*characters, *map("".join, itertools.product(characters[:5], repeat=2)), *words, *(w * 2 for w in words)}
    for pump, start in itertools.product(sorted(pumps), ("", *words[:1])):
        for killer in KILLERS:
            made = start + pump * (length // len(pump)) + killer
            yield made.encode("latin-1", "replace") if is_bytes else made


def samples(text: str, flags: int) -> tuple[list[str], list[str]]:
    """One character of each kind that occurs in a pattern, and the short texts that make up its parts."""
    tree = parser.parse(text, flags)
    characters = dict.fromkeys([*letters(tree), "a", "0", " "])
    parts = [word(node) for node in tree]
    words = dict.fromkeys([word(tree), "".join(parts[: max(1, len(parts) // 2)]), *parts])
    return list(characters)[:14], [each for each in words if each][:6]


def letters(tree: Any) -> Iterator[str]:
    """The sample of each literal and class, however deep."""
    for code, value in tree:
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY):
            yield one(code, value)
        for inner in below(code, value):
            yield from letters(inner)


def word(tree: Any) -> str:
    """A short text that a part matches, or nearly does."""
    made = ""
    for code, value in [tree] if isinstance(tree, tuple) else tree:
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY):
            made += one(code, value)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            made += word(value[2]) * max(1, value[0])
        elif code not in (codes.ASSERT, codes.ASSERT_NOT):
            made += next((word(inner) for inner in below(code, value)), "")
    return made


def below(code: Any, value: Any) -> list[Any]:
    """The patterns inside a part."""
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return [value[2]]
    if code is codes.SUBPATTERN:
        return [value[3]]
    if code is codes.ATOMIC_GROUP:
        return [value]
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    return list(value[1]) if code is codes.BRANCH else []


def one(code: Any, value: Any) -> str:
    """A character that fits."""
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.ANY:
        return "x"
    wanted = [(codes.NOT_LITERAL, value)] if code is codes.NOT_LITERAL else value
    candidates = " aA0.,-/:@\t\n(é;=<>#$" + "".join(chr(n) for n in range(33, 127))
    kinds: dict[Any, Callable[[str], bool]] = {
        codes.CATEGORY_SPACE: str.isspace,
        codes.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
        codes.CATEGORY_DIGIT: str.isdigit,
        codes.CATEGORY_NOT_DIGIT: lambda c: not c.isdigit(),
        codes.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
        codes.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
    }

    def fits(character: str) -> bool:
        for kind, what in wanted:
            if kind is codes.LITERAL and ord(character) == what:
                return True
            if kind is codes.RANGE and what[0] <= ord(character) <= what[1]:
                return True
            if kind is codes.CATEGORY and kinds[what](character):
                return True
            if kind is codes.NOT_LITERAL and ord(character) != what:
                return True
        return False

    negated = any(kind is codes.NEGATE for kind, _ in wanted)
    return next((character for character in candidates if fits(character) != negated), "a")
