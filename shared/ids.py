"""Primary keys: UUID version 7 (RFC 9562), so that new rows land next to each other in an index."""

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """A new time-ordered id."""
    return _uuid7()
