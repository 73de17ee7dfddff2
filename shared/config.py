"""Settings from environment variables: frozen structs, one line for each mistake, secrets from files where wanted."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

S = TypeVar("S", bound=msgspec.Struct)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What all services share; variables named `ARPILOT_<FIELD>`."""

    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL as the owner of the schemas: for `migrate`, `tenant`, `key`; and for `run all`"),
    ] = None
    bus_url: Annotated[
        str, Meta(description="RabbitMQ (`amqp://user:password@host/vhost`) or `local:`, the bus in the process")
    ]
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on; 0 takes any free one")] = 8080
    public_url: Annotated[str | None, Meta(description="origin that clients and customers see, for links in mails")] = (
        None
    )
    data_dir: Annotated[str, Meta(description="directory for what `run all` keeps: database, mails, documents")] = (
        ".arpilot"
    )
    secret_key: Annotated[
        str, Meta(min_length=32, description="signs access tokens, internal tokens and links; at least 32 characters")
    ]
    encryption_keys: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]+:[A-Za-z0-9+/=]{44}(,[A-Za-z0-9_-]+:[A-Za-z0-9+/=]{44})*$",
            description="`id:base64 of 32 bytes`, comma-separated; the first encrypts, all decrypt",
        ),
    ]
    blobs_url: Annotated[
        str | None, Meta(description="where documents are kept: a directory, or `s3://bucket/prefix`")
    ] = None
    log_format: Annotated[Literal["json", "console"], Meta(description="how log lines look")] = "json"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="the least that is logged")] = (
        "info"
    )
    rate_limit_pro: Annotated[int, Meta(ge=1, description="requests per second and key, tier pro")] = 100
    rate_limit_enterprise: Annotated[int, Meta(ge=1, description="requests per second and key, tier enterprise")] = 1000
    max_requests: Annotated[int, Meta(ge=1, description="requests worked on at once; more are answered 503")] = 512
    shutdown_seconds: Annotated[float, Meta(ge=0, description="how long a stop waits for work in flight")] = 20.0
    drain_seconds: Annotated[
        float, Meta(ge=0, description="how long a stop goes on answering after it says that it is not ready")
    ] = 0.0
    otlp_endpoint: Annotated[
        str | None, Meta(description="OpenTelemetry collector (OTLP over HTTP); none: no traces are sent")
    ] = None


class ServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What each service has of its own; variables named `ARPILOT_<SERVICE>_<FIELD>`."""

    database_url: Annotated[str | None, Meta(description="PostgreSQL as the service's own role")] = None
    pool_size: Annotated[
        int, Meta(ge=5, le=200, description="most database connections of one process; the relay keeps two of them")
    ] = 10
    statement_timeout_seconds: Annotated[float, Meta(gt=0, description="longest that one SQL statement may take")] = (
        30.0
    )


class WrongSetting(Exception):
    """A setting is missing or wrong; the message is the one line that the operator reads."""


def load(kind: type[S], prefix: str, environ: Mapping[str, str] | None = None, /, **defaults: object) -> S:
    """Read one struct of settings; raises WrongSetting naming the variable and why."""
    environ = os.environ if environ is None else environ
    values: dict[str, object] = dict(defaults)
    for name in kind.__struct_fields__:
        text = _read(prefix + name.upper(), environ)
        if text is not None:
            values[name] = text
    for field in msgspec.structs.fields(kind):
        if field.required and values.get(field.name) is None:
            raise WrongSetting(f"{prefix}{field.name.upper()} is not set: {describe(kind)[field.name]}.")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        variable = prefix + path.rstrip("`").upper()
        raise WrongSetting(f"{variable} is wrong: {message[:1].lower()}{message[1:]}.") from None


def _read(variable: str, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable) or None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise WrongSetting(f"{variable}_FILE names {path}, which cannot be read: {error.strerror}.") from None


def describe(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The description of each field."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: _description(hints[name]) for name in kind.__struct_fields__}


def _description(hint: Any) -> str:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def misspelt(known: Iterable[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """Sentences about `ARPILOT_…` variables that nothing reads but that look like one that is read."""
    environ = os.environ if environ is None else environ
    names = set(known)
    found = []
    for variable in environ:
        if variable.startswith("ARPILOT_") and variable.removesuffix("_FILE") not in names:
            near = difflib.get_close_matches(variable, names, n=1, cutoff=0.9)
            found += [f"{variable} is not a setting; did you mean {near[0]}?"] if near else []
    return found


SECRETS = ("secret", "encryption", "password", "key", "token")


def show(kind: type[msgspec.Struct], prefix: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Variable, value and description of each setting; of secrets only that they are set."""
    descriptions = describe(kind)
    for field in msgspec.structs.fields(kind):
        variable = prefix + field.name.upper()
        text = _read(variable, environ)
        if text is None:
            value = "(not set)" if field.required else f"{field.default} (default)"
        else:
            value = _hidden(field.name, text)
        yield variable, value, descriptions[field.name]


def _hidden(name: str, value: str) -> str:
    if any(word in name for word in SECRETS):
        return "(set)"
    return re.sub(r"(://[^:/@]*:)[^@/]*@", r"\1…@", value)
