"""What can be refused about deliveries."""

from shared.errors import Invalid, NotFound


class DeliveryNotFound(NotFound, code="delivery_not_found"):
    """There is no delivery {delivery_id} of this webhook."""


class ReplayTooLarge(Invalid, code="replay_too_large"):
    """More than {limit} events lie in this range; replay shorter ranges one after the other."""


class ReplayBackwards(Invalid, code="replay_backwards"):
    """`until` must be later than `since`."""
