"""Services are killed, the network between everything breaks, clocks jump: everything accepted is done once."""

from pathlib import Path

from tests.faults.chaos import chaos
from tests.faults.clock import Clock
from tests.faults.killing import Killing
from tests.faults.network import Network


async def test_whoever_dies_and_whatever_gets_lost_everything_accepted_is_done_once(seed: int, tmp_path: Path) -> None:
    await chaos((Killing, Network, Clock), seed, tmp_path)
