"""What can be refused about the event log."""

from shared.errors import NotFound


class EventNotFound(NotFound, code="event_not_found"):
    """There is no event {event_id}; events are kept for {days} days."""
