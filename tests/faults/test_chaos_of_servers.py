"""PostgreSQL and RabbitMQ fail in every way that they have: everything accepted is done once."""

from pathlib import Path

from tests.faults.broker_faults import BrokerFaults
from tests.faults.chaos import chaos
from tests.faults.postgres_faults import PostgresFaults


async def test_whatever_servers_do_everything_accepted_is_done_once(seed: int, tmp_path: Path) -> None:
    await chaos((PostgresFaults, BrokerFaults), seed, tmp_path)
