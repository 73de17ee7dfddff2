"""How long to wait before trying again."""

import random
from collections.abc import Iterator

JITTER = 0.2


def pauses(*, first_seconds: float = 0.05, most_seconds: float = 5.0) -> Iterator[float]:
    """Seconds before each next try, for ever: doubled each time up to the most, ±20 % so that many spread out."""
    seconds = first_seconds
    while True:
        yield seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
        seconds = min(2 * seconds, most_seconds)
