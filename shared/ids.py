"""Primary keys: UUID version 7 (RFC 9562), so that new rows land next to each other in an index."""

from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """A new time-ordered id."""
    return _uuid7()


def uuid7_text() -> str:
    """The text of a new time-ordered id."""
    return str(uuid_utils.uuid7())
