"""Which column of a CSV file means what: by the mapping of the caller, or by the names that banks use."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.payments.imports.formats import dates
from services.payments.imports.formats.rows import Unreadable

Mapped = Mapping[str, str | int]

# The first name of a field is the API's own. Order is preference: a booking date says more than a value date.
NAMES: Mapping[str, tuple[str, ...]] = {
    "payment_date": (
        "paymentdate", "bookingdate", "dateposted", "postingdate", "postdate", "posteddate", "buchungstag",
        "buchungsdatum",
        "boekdatum", "boekingsdatum", "datecomptable", "datedecomptabilisation", "dateoperation", "dateoperacion",
        "fechaoperacion", "datacontabile", "date", "datum", "fecha", "data", "transactiondate", "completeddate",
        "datecompleted", "createdon", "valuedate", "valutadatum", "valuta", "wertstellung", "rentedatum", "datevaleur",
        "fechavalor", "datavaluta", "asofdate", "buchung",
    ),
    "amount": (
        "amount", "transactionamount", "paymentamount", "betrag", "umsatz", "montant", "importe", "bedrag", "importo",
        "kwota", "belop", "belopp", "gross", "brutto", "value", "amounteur", "betrageur",
    ),
    "credit": (
        "credit", "credits", "creditamount", "deposit", "deposits", "depositamount", "paidin", "moneyin", "amountin",
        "haben", "gutschrift", "abono", "abonos", "accrediti", "avere", "entrate", "credito", "receipts",
    ),
    "debit": (
        "debit", "debits", "debitamount", "withdrawal", "withdrawals", "withdrawalamount", "paidout", "moneyout",
        "amountout", "soll", "belastung", "lastschrift", "cargo", "cargos", "addebiti", "dare", "uscite", "debito",
    ),
    "debit_credit": (
        "debitcredit", "creditdebit", "drcr", "crdr", "dc", "cd", "creditordebit", "debitorcredit", "sollhaben",
        "afbij", "creditdebitindicator", "type", "transactiontype",
    ),
    "payer_name": (
        "payername", "payer", "counterparty", "counterpartyname", "nameofcounterparty", "debtor", "debtorname",
        "remitter", "remittername", "sender", "sendername", "originator", "originatorname", "companyname",
        "zahlungspflichtiger", "zahlungspflichtigerr", "zahlungsbeteiligter", "namezahlungsbeteiligter", "auftraggeber",
        "beguenstigterzahlungspflichtiger", "begunstigterzahlungspflichtiger", "auftraggeberbegunstigter",
        "auftraggeberempfanger", "auftraggeberbeguenstigter", "tegenpartij", "naamtegenpartij", "naamtegenrekening",
        "contrepartie", "ordenante", "ordinante", "donneurdordre", "customer", "customername", "name", "naam", "nom",
        "naamomschrijving", "from",
    ),
    "payer_reference": (
        "payerreference", "reference", "paymentreference", "verwendungszweck", "remittanceinformation", "remittance",
        "remittanceinfo", "unstructuredremittanceinformation", "description", "transactiondescription", "memo",
        "narrative", "particulars", "omschrijving", "mededelingen", "communication", "communications", "libelle",
        "concepto", "causale", "descrizione", "kundenreferenz", "kundenreferenzendtoend", "customerreference",
        "details",
        "notes", "additionalinformation", "paymentdetails", "invoice", "invoicenumber",
    ),
    "external_payment_id": ("externalpaymentid", "externalid"),
    "bank_id": ("transactionid", "fitid", "transaktionsid", "banktransactionid", "uniqueid", "transid"),
    "currency": ("currency", "currencycode", "ccy", "wahrung", "waehrung", "devise", "munt", "moneda", "divisa"),
}  # fmt: skip
ALIASES: Mapping[str, str] = {
    "date": "payment_date", "payer": "payer_name", "name": "payer_name", "reference": "payer_reference",
    "external_id": "external_payment_id", "id": "external_payment_id", "type": "debit_credit",
}  # fmt: skip
SETTINGS = ("delimiter", "decimal", "date_format")
MAX_COLUMNS = 1000
SEVERAL = frozenset({"payer_reference"})
IN_BRACKETS = re.compile(r"[(\[](.{0,100}?)[)\]]")  # bounded, so that thousands of open brackets cost nothing


@dataclass(frozen=True)
class Columns:
    """Indexes of the columns, from 0; of a field in several columns all, in order."""

    places: Mapping[str, tuple[int, ...]]
    currency: str | None = None

    @cached_property
    def firsts(self) -> Mapping[str, int]:
        """The one column of each field that has but one."""
        return {field: places[0] for field, places in self.places.items() if places}

    def texts(self, cells: Sequence[str], field: str) -> list[str]:
        """Give what stands in the columns of a field; a short row has nothing there."""
        return [cells[place] for place in self.places.get(field, ()) if place < len(cells)]

    def text(self, cells: Sequence[str], field: str) -> str:
        """Give what stands in the column of a field."""
        place = self.firsts.get(field)
        return cells[place].strip() if place is not None and place < len(cells) else ""

    def has(self, field: str) -> bool:
        """Tell whether the file has this field."""
        return field in self.places


def normalised(name: str) -> str:
    """Reduce a column's name to what identifies it: no accents, case, punctuation, and nothing in brackets."""
    plain = unicodedata.normalize("NFKD", IN_BRACKETS.sub("", name).casefold())
    return re.sub(r"[^a-z0-9]", "", plain)


def checked(mapping: Mapped) -> dict[str, str | int]:
    """Rename aliases to our fields, and refuse a field that does not exist."""
    fields = {ALIASES.get(field, field): column for field, column in mapping.items()}
    unknown = sorted(set(fields) - set(NAMES) - set(SETTINGS))
    if unknown:
        raise Unreadable(f"the mapping names {unknown[0]!r}; the fields are {', '.join((*NAMES, *SETTINGS))}")
    if any(isinstance(column, int) and not 0 <= column <= MAX_COLUMNS for column in fields.values()):
        raise Unreadable(f"columns count from 1, to {MAX_COLUMNS} at most")
    if any(isinstance(column, str) and not column.isprintable() and column != "\t" for column in fields.values()):
        raise Unreadable("a column's name has control characters")
    check_settings(fields)
    return fields


def check_settings(fields: Mapped) -> None:
    """Refuse a delimiter, a decimal mark or a date format that no file can have."""
    delimiter = fields.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise Unreadable("the delimiter must be one character")
    if fields.get("decimal", ".") not in {",", "."}:
        raise Unreadable("the decimal mark must be a comma or a point")
    if "date_format" in fields and not dates.is_form(dates.named_form(str(fields["date_format"]))):
        raise Unreadable(f"{fields['date_format']!r} is not a date format like DD.MM.YYYY")


def recognised(header: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Find our fields in a row of column names. A column serves one field, the first that claims it."""
    names = [normalised(name) for name in header]
    free = {place for place, name in enumerate(names) if name}
    places: dict[str, tuple[int, ...]] = {}
    for field, known in NAMES.items():
        found = [names.index(name) for name in known if name in names and names.index(name) in free]
        if found:
            places[field] = tuple(found if field in SEVERAL else found[:1])
            free -= set(places[field])
    return places


def is_header(header: Sequence[str]) -> bool:
    """Tell whether a row names at least a date and an amount."""
    places = recognised(header)
    return "payment_date" in places and ("amount" in places or "credit" in places)


def by_name(header: Sequence[str], mapping: Mapped) -> Columns:
    """Combine the mapping with what the header names: the mapping wins, the header fills the rest."""
    mapped = {field: (place_of(column, header, mapping),) for field, column in mapping.items() if field in NAMES}
    taken = {place for places in mapped.values() for place in places}
    found = {field: tuple(p for p in places if p not in taken) for field, places in recognised(header).items()}
    if "amount" in mapped:
        found = {field: places for field, places in found.items() if field not in {"credit", "debit"}}
    return Columns(
        {**{field: places for field, places in found.items() if places}, **mapped}, currency_of(header, mapped)
    )


def place_of(column: str | int, header: Sequence[str], mapping: Mapped) -> int:
    """Find a column that the mapping gives by name or by number."""
    if isinstance(column, int):
        return column - first_number(mapping)
    wanted = normalised(column)
    for place, name in enumerate(header):
        if name.strip() == column.strip() or (wanted and normalised(name) == wanted):
            return place
    raise Unreadable(f"the mapping names the column {column!r}; the file has {', '.join(map(repr, header))}")


def first_number(mapping: Mapped) -> int:
    """Columns count from 1, unless somebody numbers one of them 0."""
    return 0 if any(column == 0 for field, column in mapping.items() if field in NAMES) else 1


def currency_of(header: Sequence[str], mapped: Mapping[str, tuple[int, ...]]) -> str | None:
    """Take the currency from an amount column that is called `Amount (EUR)`."""
    place = next(iter(mapped.get("amount", recognised(header).get("amount", ()))), None)
    if place is None or place >= len(header):
        return None
    match = IN_BRACKETS.search(header[place])
    return match[1].strip().upper() if match and re.fullmatch(r"[A-Za-z]{3}", match[1].strip()) else None


def numbers_only(mapping: Mapped) -> bool:
    """Tell whether the mapping needs no header: every column is given by number."""
    columns = [column for field, column in mapping.items() if field in NAMES]
    return bool(columns) and all(isinstance(column, int) for column in columns)


def names_all(header: Iterable[str], mapping: Mapped) -> bool:
    """Tell whether a row holds every column name of the mapping."""
    names = {normalised(name) for name in header}
    return all(normalised(c) in names for f, c in mapping.items() if f in NAMES and isinstance(c, str))
