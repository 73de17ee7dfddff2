"""What can be refused about tags."""

from shared.errors import Conflict, NotFound


class TagUnknown(NotFound, code="tag_not_found"):
    """There is no tag {id}."""


class TagNameTaken(Conflict, code="tag_name_taken"):
    """Another tag is named {name}; capitals make no difference."""
