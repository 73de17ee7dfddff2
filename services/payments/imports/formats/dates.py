"""Dates as banks write them, and which of the ways a file uses."""

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime

from services.payments.imports.formats.rows import Unfit

DAY_FIRST = ("%d/%m/%Y", "%d/%m/%y", "%d-%m-%Y", "%d-%m-%y")
MONTH_FIRST = ("%m/%d/%Y", "%m/%d/%y", "%m-%d-%Y", "%m-%d-%y")
PLAIN = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d")
NAMED = ("%d %b %Y", "%d-%b-%Y", "%d %b %y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y")
TIME_OF_DAY = re.compile(r"(?<![T ,])[T ,]++\d{1,2}:\d{2}.*$")
# The ways people write a format when they name one: DD.MM.YYYY
LETTERS: Mapping[str, str] = {"YYYY": "%Y", "YY": "%y", "MMM": "%b", "MM": "%m", "DD": "%d"}
EARLIEST_YEAR = 1970
MAX_CHARACTERS = 100  # of a date with its time of day and zone; longer texts are something else


class NotADate(Unfit):
    """The text cannot be read as a date in the format of the file."""


def parsed(text: str, form: str) -> date:
    """Read a date; a time of day behind it is dropped."""
    day = attempt(text, form)
    if not text.strip():
        raise NotADate("the row has no date")
    if day is None:
        raise NotADate(f"{text.strip()[:MAX_CHARACTERS]!r} is not a date like {form_in_words(form)}")
    return day


def attempt(text: str, form: str) -> date | None:
    """Read a date, or None."""
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        day = datetime.strptime(TIME_OF_DAY.sub("", text), form).date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return None
    return day if day.year >= EARLIEST_YEAR else None


def detected_form(texts: Collection[str], *, day_first: bool) -> str | None:
    """Choose the format that reads most of the texts; where day and month could change places, `day_first` decides."""
    order = (*PLAIN, *DAY_FIRST, *MONTH_FIRST, *NAMED) if day_first else (*PLAIN, *MONTH_FIRST, *DAY_FIRST, *NAMED)
    best, best_count = None, 0
    for form in order:
        count = sum(attempt(text, form) is not None for text in texts)
        if count > best_count:
            best, best_count = form, count
    return best


def named_form(text: str) -> str:
    """Take a format as people write it (DD.MM.YYYY) or as programs do (%d.%m.%Y)."""
    if "%" in text:
        return text
    return re.sub("YYYY|YY|MMM|MM|DD", lambda match: LETTERS[match.group()], text.upper())


def is_form(form: str) -> bool:
    """Tell whether a format holds a whole date."""
    day = date(2031, 2, 3)
    try:
        return datetime.strptime(day.strftime(form), form).date() == day  # noqa: DTZ007 (a day has no zone)
    except (ValueError, re.error):
        return False


def form_in_words(form: str) -> str:
    """Write a format as people do."""
    for letters, directive in (*LETTERS.items(), ("MONTH", "%B")):
        form = form.replace(directive, letters)
    return form
