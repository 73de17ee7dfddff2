"""The long form: all faults again and again in random order for `SECONDS_EACH` seconds, by default half an hour."""

from pathlib import Path

from tests.faults.broker_faults import BrokerFaults
from tests.faults.chaos import LONG_SECONDS, chaos
from tests.faults.clock import Clock
from tests.faults.killing import Killing
from tests.faults.network import Network
from tests.faults.postgres_faults import PostgresFaults


async def test_whatever_breaks_everything_accepted_is_done_once(seed: int, tmp_path: Path) -> None:
    await chaos((Killing, Network, Clock, PostgresFaults, BrokerFaults), seed, tmp_path, seconds=LONG_SECONDS)
