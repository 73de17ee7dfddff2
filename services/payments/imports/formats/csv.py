"""CSV as banks export it: any delimiter, a preamble above the header, decimal comma or point, dates of any country.

The file is read twice: once to learn its layout from every row, once to yield the rows. Neither keeps rows in memory.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import BinaryIO, TextIO

from services.payments.imports.formats import amounts, columns, dates
from services.payments.imports.formats.amounts import DecimalMark, NotAnAmount
from services.payments.imports.formats.columns import Columns
from services.payments.imports.formats.identity import Identities, with_id
from services.payments.imports.formats.originators import originator
from services.payments.imports.formats.rows import Line, Rejected, Row, Unfit, Unreadable, clean, joined, refusal
from services.payments.imports.formats.text import decoded, numbered_lines

DELIMITERS = (";", ",", "\t", "|")
HEADER_WITHIN_ROWS = 50
SAMPLE_ROWS = 200
MAX_RECORD_LINES = 20
MAX_ID_CHARACTERS = 200
MAX_DISTINCT_DATES = 5000
MAX_DISTINCT_AMOUNTS = 20_000
DEBIT_WORDS = frozenset({"d", "db", "dr", "dbit", "debit", "soll", "s", "af", "withdrawal", "payment out", "-"})
CREDIT_WORDS = frozenset({"c", "cr", "crdt", "credit", "haben", "h", "bij", "deposit", "payment in", "+"})

DIRECTIONS = DEBIT_WORDS | CREDIT_WORDS

Record = tuple[int, list[str]]
ReadDate = Callable[[str, str], date]


@dataclass(frozen=True)
class Layout:
    """How a file is written. Rows up to `header_line` are not data."""

    delimiter: str
    header_line: int
    columns: Columns
    mark: DecimalMark
    date_form: str


def rows(file: BinaryIO, mapping: Mapping[str, str | int] | None = None) -> Iterator[Row | Rejected]:
    """Yield what each row is: money that came in, or a reason why not."""
    fields = columns.checked(mapping or {})
    layout = learned(file, fields)
    identities = Identities("csv")
    read_date = lru_cache(maxsize=MAX_DISTINCT_DATES)(dates.parsed)
    with decoded(file) as text:
        for record in data_records(text, layout.delimiter, layout.header_line):
            if isinstance(record, Rejected):
                yield record
            elif any(cell.strip() for cell in record[1]):
                yield judged(record, layout, identities, read_date)


# What each row is


def judged(record: Record, layout: Layout, identities: Identities, read_date: ReadDate) -> Row | Rejected:
    """Read one row and decide."""
    number, cells = record
    try:
        line = line_of(number, cells, layout, read_date)
    except Unfit as reason:
        return Rejected(number, str(reason))
    reason_not = refusal(line)
    return Rejected(number, reason_not) if reason_not else identified(line, cells, layout.columns, identities)


def line_of(number: int, cells: Sequence[str], layout: Layout, read_date: ReadDate) -> Line:
    """Read the fields of a row."""
    at = layout.columns
    reference = joined(*[text for text in at.texts(cells, "payer_reference") if not is_direction(text)])
    return Line(
        number=number,
        signed_cents=signed_cents(cells, layout),
        date=read_date(at.text(cells, "payment_date"), layout.date_form),
        payer=clean(at.text(cells, "payer_name")) or originator(reference),
        reference=reference,
        currency=at.text(cells, "currency").upper() or at.currency,
    )


def is_direction(text: str) -> bool:
    """Tell a mere CREDIT or DEBIT, which some banks put into a column called details."""
    return text.strip().casefold() in DIRECTIONS


def identified(line: Line, cells: Sequence[str], at: Columns, identities: Identities) -> Row | Rejected:
    """Give the row its id: the caller's own as it is, else one built from the bank's id or from the content."""
    external_id = clean(at.text(cells, "external_payment_id"))
    if len(external_id) > MAX_ID_CHARACTERS:
        return Rejected(line.number, f"the external id is longer than {MAX_ID_CHARACTERS} characters")
    if external_id:
        return with_id(line, external_id)
    return identities.row(line, own_id=clean(at.text(cells, "bank_id")))


def signed_cents(cells: Sequence[str], layout: Layout) -> int:
    """Read the amount from one signed column, from one with a word beside it, or from a credit and a debit column."""
    at = layout.columns
    if at.has("amount"):
        cents = amounts.signed_cents(at.text(cells, "amount"), layout.mark)
        if at.has("debit_credit") and at.text(cells, "debit_credit").casefold() in DEBIT_WORDS:
            return -abs(cents)
        return cents
    credit, debit = (cents_or_zero(at.text(cells, field), layout.mark) for field in ("credit", "debit"))
    if credit is None and debit is None:
        raise NotAnAmount("the row has neither a credit nor a debit")
    return (credit or 0) - abs(debit or 0)


def cents_or_zero(text: str, mark: DecimalMark) -> int | None:
    """Read an amount that may be missing because the other column has it."""
    return amounts.signed_cents(text, mark) if text.strip("-– ") else None


# The layout


def learned(file: BinaryIO, mapping: columns.Mapped) -> Layout:
    """Find out how the file is written, from the mapping first and from all its rows."""
    with decoded(file) as text:
        sample = list(islice((line for _, line in numbered_lines(text)), SAMPLE_ROWS))
    if not any(line.strip() for line in sample):
        raise Unreadable("the file is empty")
    delimiter, header_line, at = arranged(sample, mapping)
    require(at)
    evidence = gathered(file, delimiter, header_line, at)
    mark = mark_of(mapping, evidence, delimiter)
    return Layout(delimiter, header_line, at, mark, date_form_of(mapping, evidence, day_first=mark == ","))


def arranged(sample: Sequence[str], mapping: columns.Mapped) -> tuple[str, int, Columns]:
    """Find delimiter, header and columns: by column names, by numbers, or by what stands in the columns."""
    delimiters = (str(mapping["delimiter"]),) if "delimiter" in mapping else DELIMITERS
    if columns.numbers_only(mapping):
        return numbered(sample, mapping, delimiters)
    candidates = [found for delimiter in delimiters if (found := named(sample, mapping, delimiter)) is not None]
    if candidates:
        return max(candidates, key=lambda found: len(found[2].places))
    if any(field in columns.NAMES for field in mapping):
        header = records_of(sample, most_frequent(sample, delimiters))[0][1]
        columns.by_name(header, mapping)
    return headless(sample, delimiters)


def named(sample: Sequence[str], mapping: columns.Mapped, delimiter: str) -> tuple[str, int, Columns] | None:
    """Look for the row of column names under this delimiter."""
    has_names = any(field in columns.NAMES for field in mapping)
    for number, cells in records_of(sample, delimiter)[:HEADER_WITHIN_ROWS]:
        if columns.names_all(cells, mapping) if has_names else columns.is_header(cells):
            return delimiter, number, columns.by_name(cells, mapping)
    return None


def numbered(sample: Sequence[str], mapping: columns.Mapped, delimiters: Sequence[str]) -> tuple[str, int, Columns]:
    """Take the columns by number; the first row is a header when its amount is none."""
    delimiter = most_frequent(sample, delimiters)
    number, cells = records_of(sample, delimiter)[0]
    by_number = Columns({f: (columns.place_of(c, cells, mapping),) for f, c in mapping.items() if f in columns.NAMES})
    amount = by_number.text(cells, "amount") or by_number.text(cells, "credit") or by_number.text(cells, "debit")
    if any(character.isdigit() for character in amount):
        return delimiter, 0, by_number
    return delimiter, number, columns.by_name(cells, mapping)


def headless(sample: Sequence[str], delimiters: Sequence[str]) -> tuple[str, int, Columns]:
    """Find a file without column names by what stands in its columns: a date, an amount, and the longest text."""
    delimiter = most_frequent(sample, delimiters)
    table = [cells for _, cells in records_of(sample, delimiter) if len(cells) > 1]
    width = min(map(len, table), default=0)
    all_in = [[cells[place] for cells in table] for place in range(width)]
    date_at = next((place for place in range(width) if all(map(looks_like_date, all_in[place]))), None)
    amount_at = next(
        (place for place in range(width) if place != date_at and all(map(looks_like_amount, all_in[place]))), None
    )
    if date_at is None or amount_at is None:
        raise Unreadable("no row names a date and an amount column; say which they are with a mapping")
    texts = [place for place in range(width) if place not in {date_at, amount_at}]
    longest = sorted(texts, key=lambda place: -sum(map(len, all_in[place])))[:1]
    places = {"payment_date": (date_at,), "amount": (amount_at,), "payer_reference": tuple(longest)}
    return delimiter, 0, Columns(places)


def looks_like_date(text: str) -> bool:
    """Tell whether a cell may be a date."""
    return dates.detected_form([text], day_first=True) is not None and not text.strip().isdigit()


def looks_like_amount(text: str) -> bool:
    """Tell whether a cell may be an amount of money."""
    return amounts.AMOUNT.fullmatch(text.strip()) is not None


def most_frequent(sample: Sequence[str], delimiters: Sequence[str]) -> str:
    """Choose the delimiter that splits most rows into the same number of columns, and into the most."""
    return max(delimiters, key=lambda delimiter: agreement(records_of(sample, delimiter)))


def agreement(table: Sequence[Record]) -> tuple[int, int]:
    """Count the rows that have the most usual width above one, and that width."""
    widths = [len(cells) for _, cells in table if len(cells) > 1]
    usual = max(set(widths), key=widths.count, default=0)
    return widths.count(usual), usual


def require(at: Columns) -> None:
    """Refuse a file in which we know no date or no amount."""
    if not at.has("payment_date"):
        raise Unreadable("no column holds the date; say which it is with a mapping of payment_date")
    if not (at.has("amount") or at.has("credit") or at.has("debit")):
        raise Unreadable("no column holds the amount; say which it is with a mapping of amount")


@dataclass(frozen=True)
class Evidence:
    """Different amounts and dates of a file, bounded, from which its format is learned."""

    amounts: frozenset[str]
    dates: frozenset[str]


def gathered(file: BinaryIO, delimiter: str, header_line: int, at: Columns) -> Evidence:
    """Read the whole file once for what its amounts and dates look like."""
    fields = [field for field in ("amount", "credit", "debit") if at.has(field)]
    seen_amounts: set[str] = set()
    seen_dates: set[str] = set()
    with decoded(file) as text:
        for record in data_records(text, delimiter, header_line):
            if isinstance(record, Rejected):
                continue
            if len(seen_amounts) < MAX_DISTINCT_AMOUNTS:
                seen_amounts.update(at.text(record[1], field) for field in fields)
            if len(seen_dates) < MAX_DISTINCT_DATES:
                seen_dates.add(at.text(record[1], "payment_date"))
    return Evidence(frozenset(seen_amounts), frozenset(seen_dates))


def mark_of(mapping: columns.Mapped, evidence: Evidence, delimiter: str) -> DecimalMark:
    """Decide the decimal mark. Where no amount proves it: a comma between columns means a point in amounts."""
    default: DecimalMark = "," if delimiter == ";" else "."
    if "decimal" in mapping:
        return "," if mapping["decimal"] == "," else "."
    return amounts.decimal_mark(evidence.amounts, default)


def date_form_of(mapping: columns.Mapped, evidence: Evidence, *, day_first: bool) -> str:
    """Decide the format of dates; who writes a decimal comma writes the day first."""
    if "date_format" in mapping:
        return dates.named_form(str(mapping["date_format"]))
    form = dates.detected_form(evidence.dates, day_first=day_first)
    return form or "%Y-%m-%d"


# Records out of lines


class UnclosedQuote(Exception):
    """A quoted field runs on for more lines than any bank writes."""


class RecordLines:
    """Feeds lines to the csv module and remembers those of the record at hand, to take them back."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self.lines = lines
        self.returned: list[tuple[int, str]] = []
        self.current: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.current) >= MAX_RECORD_LINES:
            raise UnclosedQuote
        numbered = self.returned.pop(0) if self.returned else next(self.lines)
        self.current.append(numbered)
        return numbered[1]

    def finish(self) -> int:
        """Begin a new record; give the number of the line where the last one began."""
        number = self.current[0][0]
        self.current.clear()
        return number

    def take_back(self) -> int:
        """Give up the first line of the record and read its others again."""
        number = self.current[0][0]
        self.returned[:0] = self.current[1:]
        self.current.clear()
        return number


def records(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[Record | Rejected]:
    """Split lines into records of cells. An unclosed quote costs its own line, not those behind it."""
    feed = RecordLines(lines)
    reader = csv.reader(feed, delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (UnclosedQuote, csv.Error):
            yield Rejected(feed.take_back(), "the row cannot be split into columns: a quote is not closed")
            reader = csv.reader(feed, delimiter=delimiter)
            continue
        if is_unclosed(feed.current):
            yield Rejected(feed.take_back(), "the row cannot be split into columns: a quote is not closed")
            reader = csv.reader(feed, delimiter=delimiter)
            continue
        yield feed.finish(), cells


def is_unclosed(lines: Sequence[tuple[int, str]]) -> bool:
    """Tell whether the file ended inside a quote: the csv module gives such a record as if it were whole."""
    return len(lines) > 1 and sum(line.count('"') for _, line in lines) % 2 == 1


def data_records(text: TextIO, delimiter: str, header_line: int) -> Iterator[Record | Rejected]:
    """Yield the records below the header."""
    for record in records(numbered_lines(text), delimiter):
        number = record.row if isinstance(record, Rejected) else record[0]
        if number > header_line:
            yield record


def records_of(sample: Iterable[str], delimiter: str) -> list[Record]:
    """Split a sample of lines, leaving out empty ones and those that cannot be split."""
    split = records(iter(enumerate(sample, start=1)), delimiter)
    return [record for record in split if not isinstance(record, Rejected) and any(c.strip() for c in record[1])]
