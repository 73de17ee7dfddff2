"""What a PATCH asks for: the fields that the caller sent, and no others."""

from typing import Any

import msgspec


def given(body: msgspec.Struct) -> dict[str, Any]:
    """Fields of a body that were sent, by name; a sent null is None."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}
