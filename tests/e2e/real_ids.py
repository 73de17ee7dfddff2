"""Hooks of schemathesis: where it drew some id, it sends the id of something that exists, so that it gets further."""

import json
import os
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import strategies as st

REAL_IDS = "ARPILOT_TEST_REAL_IDS"
"""Environment variable with a JSON object of ids by the name of their field."""


@schemathesis.hook
def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """Bodies with real ids."""
    return real(body)


@schemathesis.hook
def map_query(_: schemathesis.HookContext, query: Any) -> Any:
    """Queries with real ids."""
    return real(query)


def real(value: Any, name: str = "") -> Any:
    """The value with every well-formed id below it replaced by a real one of its kind (`invoice_ids`: invoice_id)."""
    ids: dict[str, str] = json.loads(os.environ.get(REAL_IDS, "{}"))
    if isinstance(value, dict):
        return {key: real(part, str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [real(part, name.removesuffix("s")) for part in value]
    return ids[name] if name in ids and is_id(value) else value


def is_id(value: Any) -> bool:
    """Whether it is a UUID as text."""
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


for kind in ("text/csv", "text/plain", "application/x-ofx", "application/xml", "application/x-ndjson"):
    schemathesis.openapi.media_type(kind, st.binary(max_size=1000))  # bodies that have no schema
