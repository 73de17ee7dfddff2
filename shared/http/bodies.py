"""Decoding what a client sent into structs that cannot be wrong, and naming every wrong field when it is.

The fast path decodes in one pass. Only when that fails is the input walked field by field to collect all mistakes.
"""

import functools
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from zoneinfo import available_timezones

import msgspec

from shared.errors import BadRequest, FieldError, InvalidFields, InvalidQuery
from shared.money import Bounded, Money, major

T = TypeVar("T")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body: unknown fields are refused, so that a typo never silently loses data."""


class MalformedJson(BadRequest, code="malformed_json"):
    """The body is not valid JSON: {reason}."""


class BodyMissing(BadRequest, code="body_missing"):
    """A JSON body is required."""


class Timezone(str):
    """An IANA time zone name, such as `Europe/Berlin`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> "Timezone":
        """The name if the zone exists; ValueError otherwise."""
        if not isinstance(text, str) or text not in _timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin")
        return cls(text)


@functools.cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def dec_hook(kind: type, value: object) -> object:
    """Decode the request types that msgspec does not know."""
    if issubclass(kind, Money | Bounded | Timezone):
        return kind.parse(value)
    raise NotImplementedError(kind)


def enc_hook(value: object) -> object:
    """Encode the request types, where an answer or an event holds what a request brought."""
    if isinstance(value, Money):
        return major(value)
    if isinstance(value, Bounded):
        return Decimal(value)
    if isinstance(value, Timezone):
        return str.__str__(value)
    raise NotImplementedError(type(value))


_decoders: "dict[Any, msgspec.json.Decoder[Any]]" = {}


def decoder(kind: type[T]) -> "msgspec.json.Decoder[T]":
    """The decoder of a type, numbers kept exact; made once."""
    known = _decoders.get(kind)
    if known is None:
        known = _decoders[kind] = msgspec.json.Decoder(kind, dec_hook=dec_hook, float_hook=Decimal)
    return known


_untyped = msgspec.json.Decoder(float_hook=Decimal)


def decode_body(raw: bytes, kind: type[T]) -> T:
    """Decode a JSON body; raises MalformedJson, BodyMissing, or InvalidFields with every wrong field."""
    if not raw:
        raise BodyMissing
    try:
        body = decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidFields(_mistakes(_parse(raw), kind, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise MalformedJson(reason=_reason(error)) from None
    if b"\\u0000" in raw and (errors := list(_nul_characters(_parse(raw), ""))):
        raise InvalidFields(errors)
    return body


def in_utc(instant: datetime, field: str) -> datetime:
    """A body's instant in UTC; raises InvalidFields at the ends of the calendar, where UTC has no such year."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise InvalidFields([FieldError(field=field, message="is out of range")]) from None


def convert_item(value: object, kind: type[T]) -> T:
    """Convert one decoded item of a bulk call; raises InvalidFields with every wrong field."""
    try:
        item = msgspec.convert(value, kind, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        raise InvalidFields(_mistakes(value, kind, error)) from None
    if errors := list(_nul_characters(value, "")):
        raise InvalidFields(errors)
    return item


def decode_untyped(raw: bytes) -> Any:
    """Decode JSON with numbers kept exact (Decimal); raises MalformedJson."""
    return _parse(raw)


def _parse(raw: bytes) -> Any:
    try:
        return _untyped.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
        raise MalformedJson(reason=_reason(error)) from None


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def decode_query(parameters: Mapping[str, str], kind: type[T]) -> T:
    """Convert the parameters of an address; raises InvalidQuery with every wrong one."""
    values = {name: _split(kind, name, text) for name, text in parameters.items()}
    try:
        return msgspec.convert(values, kind, strict=False, dec_hook=_query_hook)
    except msgspec.ValidationError as error:
        raise InvalidQuery(_mistakes(values, kind, error, from_text=True)) from None


def _query_hook(kind: type, value: object) -> object:
    if issubclass(kind, Money | Bounded) and isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise ValueError("must be a number") from None
        if not value.is_finite():
            raise ValueError("must be a number")
    return dec_hook(kind, value)


def _split(kind: type, name: str, text: str) -> str | list[str]:
    """A parameter that takes several values takes them separated by commas."""
    return text.split(",") if name in _lists(kind) else text


@functools.cache
def _lists(kind: type) -> frozenset[str]:
    hints = typing.get_type_hints(kind)
    return frozenset(name for name, hint in hints.items() if any(_is_list(part) for part in _alternatives(hint)))


def _mistakes(value: Any, kind: Any, first: msgspec.ValidationError, *, from_text: bool = False) -> list[FieldError]:
    found = list(_walk(value, kind, "", from_text=from_text))
    return found or [_field_error("", first)]


def _walk(value: Any, kind: Any, path: str, *, from_text: bool) -> Iterator[FieldError]:
    """Every mistake below a value, deepest first, so that each names the innermost wrong field."""
    for part in _alternatives(kind):
        if _is_struct(part) and isinstance(value, dict):
            yield from _walk_struct(value, part, path, from_text=from_text)
            return
        if _is_list(part) and isinstance(value, list):
            yield from _walk_list(value, part, path, from_text=from_text)
            return
    yield from _check(value, kind, path, from_text=from_text)


def _walk_struct(value: dict[str, Any], kind: Any, path: str, *, from_text: bool) -> Iterator[FieldError]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from _walk(value[name], hints[field.name], _join(path, name), from_text=from_text)
        elif field.required:
            yield FieldError(field=_join(path, name), message="is required")
    if kind.__struct_config__.forbid_unknown_fields:
        for name in value.keys() - fields.keys():
            yield FieldError(field=_join(path, name), message="is not a known field")


def _walk_list(value: list[Any], kind: Any, path: str, *, from_text: bool) -> Iterator[FieldError]:
    inner = typing.get_args(kind)[0] if typing.get_args(kind) else Any
    before = 0
    for index, item in enumerate(value):
        for error in _walk(item, inner, f"{path}[{index}]", from_text=from_text):
            before += 1
            yield error
    if not before:
        yield from _check(value, kind, path, from_text=from_text)


def _check(value: Any, kind: Any, path: str, *, from_text: bool) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, kind, strict=not from_text, dec_hook=_query_hook if from_text else dec_hook)
    except msgspec.ValidationError as error:
        yield _field_error(path, error)


def _nul_characters(value: Any, path: str) -> Iterator[FieldError]:
    """PostgreSQL stores no U+0000 in text, and no sensible text has one."""
    if isinstance(value, str) and "\x00" in value:
        yield FieldError(field=path, message="must not hold the character U+0000")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nul_characters(item, _join(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_characters(item, f"{path}[{index}]")


def _field_error(path: str, error: msgspec.ValidationError) -> FieldError:
    message, _, inner = str(error).partition(" - at `$")
    inner = inner.rstrip("`")
    field = path + inner if path else inner.removeprefix(".")
    return FieldError(field=field, message=_in_words(message))


_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "uuid": "a UUID",
    "date": "a date such as 2026-01-31",
    "datetime": "an instant such as 2026-01-31T12:00:00Z",
    "null": "null",
}
_SENTENCES: tuple[tuple[str, Callable[["re.Match[str]"], str]], ...] = (
    (r"Expected `(.+?)`, got `(.+?)`", lambda m: f"must be {_kinds(m[1])}, not {_kinds(m[2])}"),
    (r"Expected `str` of length >= (\d+)", lambda m: f"must have at least {m[1]} characters"),
    (r"Expected `str` of length <= (\d+)", lambda m: f"must have at most {m[1]} characters"),
    (r"Expected `str` matching regex .*", lambda _: "does not have the right form"),
    (r"Expected `array` of length >= (\d+)", lambda m: f"must have at least {m[1]} entries"),
    (r"Expected `array` of length <= (\d+)", lambda m: f"must have at most {m[1]} entries"),
    (r"Expected `.+?` >= (\S+)", lambda m: f"must be at least {m[1]}"),
    (r"Expected `.+?` <= (\S+)", lambda m: f"must be at most {m[1]}"),
    (r"Expected `.+?` > (\S+)", lambda m: f"must be more than {m[1]}"),
    (r"Expected `.+?` < (\S+)", lambda m: f"must be less than {m[1]}"),
    (r"Invalid UUID", lambda _: "must be a UUID"),
    (r"Invalid RFC3339 encoded date", lambda _: "must be a date such as 2026-01-31"),
    (r"Invalid RFC3339 encoded datetime", lambda _: "must be an instant such as 2026-01-31T12:00:00Z"),
)


def _in_words(message: str) -> str:
    """msgspec's message as a sentence about the field, for people who do not know Python's types."""
    for pattern, sentence in _SENTENCES:
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match:
            return sentence(match)
    return message[:1].lower() + message[1:]


def _kinds(names: str) -> str:
    return " or ".join(_KINDS.get(name.strip(), name.strip()) for name in names.split("|"))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _alternatives(kind: Any) -> list[Any]:
    """The members of a union, without annotations."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for member in typing.get_args(kind) for part in _alternatives(member)]
    return [kind]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_list(kind: Any) -> bool:
    return typing.get_origin(kind) in (list, tuple, set, frozenset)
