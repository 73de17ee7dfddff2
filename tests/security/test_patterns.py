"""No text makes a regular expression, a search or a template take the process away from everybody else.

Every pattern is found by reading the source. The bound is on the time of this process's own computing: what a good
pattern needs is a few hundred times less, what a bad one needs is far more, on any machine and however busy it is.
"""

import gc
import re
import signal
import time
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from services.notifier.templates import language
from services.notifier.templates.errors import TemplateWrong
from services.payments.imports.formats import amounts, columns, dates
from services.payments.imports.formats.rows import Unfit
from shared.http import bodies
from shared.http.routes import Route
from tests.harness import Client
from tests.security import surface
from tests.security.patterns import Found, attacks, found
from tests.security.surface import SCOPED

LENGTH = 20_000
CPU_SECONDS = 0.25
PATIENCE = 8
"""How often the bound until a pattern at work is interrupted: that clock counts other threads, too."""
OWN = ("services/notifier/templates/system.py", "tests/")
"""What reads only texts of our own."""

PATTERNS = [each for each in found() if not each.place.startswith(OWN)]
SEARCHES = [route for route in SCOPED if route.query and "search" in typing.get_type_hints(route.query)]


class TooLong(Exception):
    """It took longer than any text may."""


@contextmanager
def bounded(what: object, *, seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Fail where this thread computes for longer in the block; a pattern that would not end is interrupted.

    What other threads compute meanwhile, and clearing up after other tests, does not count.
    """

    def stop(*_: object) -> None:
        raise TooLong(what)

    before = signal.signal(signal.SIGVTALRM, stop)
    gc.disable()
    began = time.thread_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds * PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        took_seconds = time.thread_time() - began
        gc.enable()
        signal.signal(signal.SIGVTALRM, before)
    if took_seconds > seconds:
        raise TooLong(what)


def attack(pattern: "re.Pattern[Any]", method: str, name: str) -> None:
    """Give a pattern everything that may be hard for it."""
    for text in attacks(pattern, LENGTH):
        with bounded(f"{name} {method} {text[:40]!r}…{text[-5:]!r}"):
            use(pattern, method, text)


def use(pattern: "re.Pattern[Any]", method: str, text: Any) -> None:
    """Do what the code does with a pattern."""
    if method in ("sub", "subn"):
        pattern.sub(lambda match: match[0], text)
    elif method == "finditer":
        list(pattern.finditer(text))
    else:
        getattr(pattern, method)(text)


@pytest.mark.parametrize("each", PATTERNS, ids=lambda each: each.place)
def test_no_text_keeps_a_pattern_busy(each: Found) -> None:
    for method in sorted(each.methods):
        attack(each.pattern, method, each.place)


def test_no_message_about_a_wrong_body_keeps_its_patterns_busy() -> None:
    for pattern, _ in bodies._SENTENCES:
        attack(re.compile(pattern, re.DOTALL), "fullmatch", pattern)


def texts_with_patterns() -> dict[str, Meta]:
    """Every form of text that a body or a query asks for."""
    forms: dict[str, Meta] = {}
    for route in SCOPED:
        for kind in (route.body, route.query):
            forms |= {str(meta.pattern): meta for meta in metas(kind) if meta.pattern}
    return forms


def metas(kind: Any) -> Iterator[Meta]:
    """What is said of values of a type, however deep."""
    if surface.is_struct(kind):
        for hint in typing.get_type_hints(kind, include_extras=True).values():
            yield from metas(hint)
        return
    yield from (meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta))
    for inner in (*typing.get_args(kind)[:1], *typing.get_args(kind)[1:]):
        if not isinstance(inner, Meta | str):
            yield from metas(inner)


@pytest.mark.parametrize("meta", texts_with_patterns().values(), ids=lambda meta: str(meta.pattern))
def test_no_text_in_a_body_keeps_the_form_busy_that_is_asked_for(meta: Meta) -> None:
    assert meta.pattern is not None
    for text in attacks(re.compile(meta.pattern), LENGTH):
        with bounded(f"{meta.pattern} {text[:40]!r}"):
            try:
                msgspec.convert(text, Annotated[str, meta])
            except msgspec.ValidationError:
                continue


@pytest.mark.parametrize("cell", ["1" + " " * 60_000 + "x", "-" + " " * 60_000 + "1x", "( " * 30_000, "T " * 30_000])
def test_no_cell_of_a_bank_file_keeps_an_import_busy(cell: str) -> None:
    with bounded(cell[:10]):
        columns.normalised(cell)
        dates.detected_form([cell], day_first=True)
        with pytest.raises(Unfit, match=r"^.{1,200}$"):
            amounts.signed_cents(cell, ".")
        with pytest.raises(Unfit, match=r"^.{1,200}$"):
            dates.parsed(cell, "%Y-%m-%d")


@pytest.mark.parametrize("route", SEARCHES, ids=surface.name)
@pytest.mark.parametrize("pump", ["%", "_", "%_", "a%", "\\", "(a+)+", "é", "'", "%a%b_"])
async def test_a_search_takes_no_long_text_and_what_it_takes_it_takes_literally(
    route: Route, pump: str, client: Client
) -> None:
    short = pump * (200 // len(pump))

    assert (await client.get(route.path, params={"search": short})).data == []
    assert (await client.get(route.path, params={"search": pump * 201})).status == 400


@pytest.mark.parametrize(
    "pump",
    [
        "{{",
        "{{ (",
        "{{ a.",
        "{% if a %}",
        "{% for a in b %}",
        "{#",
        "{{ a | upper ",
        "{{ a ~ ",
        "{{ - ",
        "{{ 'a",
        "{%-",
    ],
)
@pytest.mark.parametrize("length", [1_000, 100_000])
def test_no_template_keeps_the_language_busy_that_reads_it(pump: str, length: int) -> None:
    source = pump * (length // len(pump))

    with bounded(pump, seconds=10):
        assert language.check("html", source, html=True) or refused(source)


def refused(source: str) -> bool:
    """Whether it cannot be rendered."""
    try:
        language.render(source, {}, html=True)
    except TemplateWrong:
        return True
    return False


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 50
    assert {each.place.partition(":")[0] for each in PATTERNS} > {
        "shared/http/server.py",
        "services/payments/imports/formats/amounts.py",
        "services/webhooks/endpoints/addresses.py",
    }


def test_a_pattern_that_takes_too_long_is_found_out() -> None:
    for bad in (r"(a+)+b", r"\s*\s*x", r"<a>.*?</a>"):
        with pytest.raises(TooLong):
            attack(re.compile(bad), "search", bad)
