"""Services are killed, and clocks jump: everything accepted is done once."""

from pathlib import Path

from tests.faults.chaos import chaos
from tests.faults.clock import Clock
from tests.faults.killing import Killing


async def test_whoever_dies_everything_accepted_is_done_once(seed: int, tmp_path: Path) -> None:
    await chaos((Killing, Clock), seed, tmp_path)
