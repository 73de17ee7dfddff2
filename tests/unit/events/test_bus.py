"""Which bus an address means."""

import pytest

from shared import bus
from shared.bus.local import LocalBus
from shared.bus.rabbitmq import RabbitBus
from shared.config import WrongSetting


def test_local_is_the_bus_in_the_process() -> None:
    assert isinstance(bus.connect("local:"), LocalBus)


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
async def test_amqp_is_rabbitmq(scheme: str) -> None:
    assert isinstance(bus.connect(f"{scheme}://user:password@broker/vhost"), RabbitBus)


@pytest.mark.parametrize("url", ["", "kafka://broker", "amqp:broker", "amqp://broker:port", "localhost"])
def test_anything_else_stops_the_start_with_one_sentence(url: str) -> None:
    with pytest.raises(WrongSetting, match=r"^ARPILOT_BUS_URL is wrong: [^\n]+\.$"):
        bus.connect(url)
