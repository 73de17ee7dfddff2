"""What reading the journal can be refused for."""

from shared.errors import NotFound


class EntryUnknown(NotFound, code="entry_not_found"):
    """There is no ledger entry {entry_id}."""
