"""What is refused about the reconciliation queue."""

from shared.errors import Conflict, NotFound


class ChangeUnknown(NotFound, code="change_not_found"):
    """There is no accounting change {change_ids}."""


class ChangeWaits(Conflict, code="change_not_approved"):
    """These changes wait for approval: {change_ids}."""
