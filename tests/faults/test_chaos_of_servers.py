"""PostgreSQL and RabbitMQ fail in every way that they have, and so does the network: everything accepted is done once.

Nobody dies meanwhile, so what a process forgets is not mended by its death.
"""

from pathlib import Path

from tests.faults.broker_faults import BrokerFaults
from tests.faults.chaos import chaos
from tests.faults.network import Network
from tests.faults.postgres_faults import PostgresFaults


async def test_whatever_breaks_around_them_everything_accepted_is_done_once(seed: int, tmp_path: Path) -> None:
    await chaos((PostgresFaults, BrokerFaults, Network), seed, tmp_path)
