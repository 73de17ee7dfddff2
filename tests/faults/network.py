"""What the network does to us: it is cut, slow, or half-open, so that both sides believe in a dead connection."""

import asyncio
from collections.abc import Callable, Mapping

from services import catalog
from tests.faults.family import Family, Fault
from tests.faults.proxy import Proxy

SLOW_SECONDS = 0.15


class Network(Family):
    """Faults of the ways between services, PostgreSQL, RabbitMQ and receivers."""

    @property
    def faults(self) -> Mapping[str, Fault]:
        places = {
            "postgres": self._to_database,
            "rabbitmq": self._to_bus,
            "a service": self._to_service,
            "receivers": self._to_receiver,
        }
        return {
            f"the way to {place} is {kind}": self._breaking(ways, kind)
            for place, ways in places.items()
            for kind in ("cut", "slow", "half-open", "dead in one direction")
        }

    def _breaking(self, choose: Callable[[], list[Proxy]], kind: str) -> Fault:
        async def happen() -> None:
            ways = choose()
            for way in ways:
                self._break(way, kind)
            await asyncio.sleep(self.dice.uniform(0.5, 2))
            for way in ways:
                if kind == "half-open" and self.dice.random() < 0.5:
                    way.drop()  # the other side has forgotten the connection by now
                way.heal()

        return happen

    def _break(self, way: Proxy, kind: str) -> None:
        if kind == "cut":
            way.cut()
        elif kind == "slow":
            way.slow(SLOW_SECONDS)
        elif kind == "half-open":
            way.shut()
        else:
            self.dice.choice((way.up, way.down)).shut()

    def _to_database(self) -> list[Proxy]:
        return [replica.database for replica in self.house.services[self.dice.choice(catalog.NAMES)]]

    def _to_bus(self) -> list[Proxy]:
        return [replica.bus for replica in self.house.services[self.dice.choice(catalog.NAMES)]]

    def _to_service(self) -> list[Proxy]:
        return [self.house.ways[self.dice.choice(("customers", "invoices", "payments"))]]

    def _to_receiver(self) -> list[Proxy]:
        return [self.house.ways["receiver"]]
