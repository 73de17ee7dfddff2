"""The language of templates: a small part of Jinja2, in its sandbox.

A template is data of a tenant that our process runs, so what it may say is a list of what is allowed, not of what is
forbidden: texts, variables of the list below, `if`, one level of `for`, comparisons and harmless filters. No calls, no
arithmetic, no assignments, no macros: such a template ends, and ends soon. HTML is escaped always.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notifier.templates.errors import TemplateWrong
from shared.errors import FieldError

MAX_OUTPUT_CHARACTERS = 2_000_000

VARIABLES: Mapping[str, frozenset[str]] = {
    "company": frozenset({"name", "address", "email"}),
    "customer": frozenset({"name"}),
    "contact": frozenset({"name", "first_name", "email"}),
    "invoice": frozenset(
        {
            "number", "amount", "amount_due", "currency", "issue_date", "due_date", "status", "days_overdue",
            "days_until_due", "memo", "note", "project", "pay_url",
        }
    ),
    "invoices": frozenset({"number", "amount", "amount_due", "due_date", "days_overdue", "pay_url"}),
    "total_due": frozenset(),
    "payment": frozenset({"amount", "date", "method"}),
    "instalment": frozenset({"amount", "due_date"}),
    "statement": frozenset({"start", "end", "balance"}),
    "unsubscribe_url": frozenset(),
}  # fmt: skip
"""Each variable and its members; `invoices` is a list, its members are those of each."""

LISTS = frozenset({"invoices"})
FILTERS = frozenset(
    {"upper", "lower", "title", "capitalize", "trim", "default", "length",
     "first", "last", "escape", "e", "truncate", "abs", "int", "round"}
)  # fmt: skip
TESTS = frozenset(
    {"defined", "undefined", "none", "number", "string", "even", "odd", "eq", "ne", "lt", "le", "gt", "ge"}
)
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.If, nodes.For,
    nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Concat, nodes.Neg, nodes.Keyword,
)  # fmt: skip
LOOP = frozenset({"index", "first", "last", "length"})


def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.globals.clear()
    environment.filters = {name: f for name, f in environment.filters.items() if name in FILTERS}
    environment.tests = {name: test for name, test in environment.tests.items() if name in TESTS}
    return environment


ENVIRONMENTS = {True: _environment(html=True), False: _environment(html=False)}


@functools.lru_cache(maxsize=512)
def _compiled(source: str, html: bool) -> jinja2.Template:
    return ENVIRONMENTS[html].from_string(source)


def render(source: str, values: Mapping[str, Any], *, html: bool) -> str:
    """The text of a template that `check` has accepted; raises TemplateWrong where a value is missing."""
    parts, size = [], 0
    try:
        for part in _compiled(source, html).generate(values):
            size += len(part)
            if size > MAX_OUTPUT_CHARACTERS:
                raise TemplateWrong([FieldError(field="template", message="its output is too long")])
            parts.append(part)
    except (jinja2.TemplateError, TypeError, ValueError, OverflowError) as error:
        raise TemplateWrong([FieldError(field="template", message=str(error))]) from error
    return "".join(parts)


def check(field: str, source: str, *, html: bool) -> list[FieldError]:
    """Everything that is wrong with a template, or nothing.

    The tree is walked before anything is compiled: compiling works out constants, and `2 ** 10000000` takes its time.
    """
    try:
        tree = ENVIRONMENTS[html].parse(source)
        messages = _Check().messages(tree)
        if not messages:
            ENVIRONMENTS[html].from_string(source)
    except (jinja2.TemplateError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return [FieldError(field=field, message=f"{error}" + (f" (line {line})" if line else ""))]
    except RecursionError:
        return [FieldError(field=field, message="is nested too deeply")]
    return [FieldError(field=field, message=message) for message in messages]


class _Check:
    """One walk through a template's tree."""

    def messages(self, tree: nodes.Template) -> list[str]:
        return list(dict.fromkeys(self._walk(tree, {})))

    def _walk(self, node: nodes.Node, loops: Mapping[str, str]) -> Iterator[str]:
        if not isinstance(node, NODES):
            yield f"`{type(node).__name__.lower()}` is not allowed in a template (line {node.lineno})"
        elif isinstance(node, nodes.For):
            yield from self._loop(node, loops)
        elif isinstance(node, nodes.Getattr):
            yield from self._member(node, loops)
        elif isinstance(node, nodes.Name):
            if node.name not in VARIABLES and node.name not in loops:
                yield f"`{node.name}` is not a known variable"
        else:
            for child in node.iter_child_nodes():
                yield from self._walk(child, loops)

    def _loop(self, node: nodes.For, loops: Mapping[str, str]) -> Iterator[str]:
        if loops:
            yield f"a loop in a loop is not allowed (line {node.lineno})"
        elif node.recursive or not isinstance(node.iter, nodes.Name) or node.iter.name not in LISTS:
            yield f"a loop goes over one of: {', '.join(sorted(LISTS))} (line {node.lineno})"
        elif not isinstance(node.target, nodes.Name):
            yield f"a loop has one variable (line {node.lineno})"
        else:
            inner = {node.target.name: node.iter.name, "loop": "loop"}
            for child in (*node.body, *node.else_, *([node.test] if node.test else [])):
                yield from self._walk(child, inner)

    def _member(self, node: nodes.Getattr, loops: Mapping[str, str]) -> Iterator[str]:
        if not isinstance(node.node, nodes.Name):
            yield f"`.{node.attr}` is not allowed here (line {node.lineno})"
            return
        name = node.node.name
        known = _members(name, loops)
        if known is None:
            yield f"`{name}` is not a known variable"
        elif node.attr not in known:
            yield f"`{name}.{node.attr}` is not a known variable"


def _members(name: str, loops: Mapping[str, str]) -> frozenset[str] | None:
    if loops.get(name) == "loop":
        return LOOP
    if name in loops:
        return VARIABLES[loops[name]]
    return frozenset() if name in LISTS else VARIABLES.get(name)
