"""The table: what is measured, against what, and what is wanted."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Measure = Callable[[], Awaitable[list["Row"]]]
ROUNDS = 3


@dataclass
class Row:
    """One line of the table."""

    name: str
    goal: float
    measured: float
    """The ratio, or the figure itself where the goal is absolute."""
    at_least: bool
    """Whether more is better."""
    unit: str = "×"
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def text(self) -> str:
        """The line as it is printed."""
        sign = "≥" if self.at_least else "≤"
        verdict = "ok" if self.met else "NOT MET"
        measured = f"{self.measured:>9.2f} {self.unit:<4}"
        return f"{self.name:<14} {measured} goal {sign} {self.goal:<6g} {verdict:<8} {self.detail}"


def median(values: list[float]) -> float:
    """The median of the rounds."""
    return statistics.median(values)
