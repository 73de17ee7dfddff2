"""The one interface of all faults: a family breaks something in the house by name, and mends it before it returns."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping

from tests.faults.house import House

Fault = Callable[[], Awaitable[None]]


class Family(ABC):
    """Faults of one kind."""

    kills = False
    """Whether processes die: what a living one has forgotten is then mended."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.dice = house.dice

    @property
    @abstractmethod
    def faults(self) -> Mapping[str, Fault]:
        """What may go wrong; what is broken is on its way to being whole again when a fault returns."""
