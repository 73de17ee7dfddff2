"""`kill -9` of services: at any moment, and at the moments that matter."""

import asyncio
from collections.abc import Mapping

from services import catalog
from tests.faults.business import Tenant
from tests.faults.family import Family, Fault
from tests.faults.house import Replica, until

AIM_SECONDS = 5.0
CONFIRM = b"\x00\x3c\x00\x50"
"""`basic.ack`: what a broker says of a message that it has taken."""
IMPORTED_ROWS = 2500

IN_LONG_TRANSACTION = """
    select true from pg_stat_activity
    where application_name = $1 and backend_xid is not null and now() - xact_start > interval '50 milliseconds'
"""
IN_IMPORT = "select true from payments.payment_imports where status = 'processing' and rows > 0"


class Killing(Family):
    """Nothing is finished, nothing is said; a moment later the process is started again."""

    kills = True

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {
            **{f"kill {name} {number}": self._killing(name, number) for name in catalog.NAMES for number in (0, 1)},
            "kill both replicas": self.both,
            "kill relay between publish and delete": self.relay,
            "kill consumer between commit and ack": self.consumer,
            "kill dispatcher in mid-POST": self.dispatcher,
            "kill in the middle of a bulk call": self.bulk,
            "kill in the middle of a bank file": self.bank_file,
            "kill payments in the middle of a match": self.match,
            "kill invoices in the middle of a match": self.matched,
        }

    def _killing(self, name: str, number: int) -> Fault:
        async def kill() -> None:
            await self._kill(self.house.services[name][number])

        return kill

    async def both(self) -> None:
        await self._kill(*self.house.services[self.dice.choice(catalog.NAMES)])

    async def relay(self) -> None:
        """The broker has confirmed, and the relay does not know it yet."""
        replicas = await self._alive(self.dice.choice(("customers", "invoices", "payments")))
        for replica in replicas:
            replica.bus.down.shut()

        async def is_confirmed() -> bool:
            return any(CONFIRM in replica.bus.down.held for replica in replicas)

        await until(is_confirmed, seconds=AIM_SECONDS)
        await self._kill(*replicas)

    async def consumer(self) -> None:
        """The transaction is committed, and no acknowledgement arrives."""
        name = self.dice.choice(("invoices", "payments", "notifier", "webhooks"))
        replicas = await self._alive(name)
        for replica in replicas:
            replica.bus.up.shut()
        async with self.house.owner() as conn:
            before = await conn.fetchval(f"select count(*) from {name}.inbox")
            await until(lambda: conn.fetchval(f"select count(*) > {before} from {name}.inbox"), seconds=AIM_SECONDS)
        await self._kill(*replicas)

    async def dispatcher(self) -> None:
        """The receiver has got the request, and its answer is on the way for ever."""
        replicas = await self._alive("webhooks")
        way = self.house.ways["receiver"]
        way.down.shut()
        await way.down.has_held(bool, seconds=AIM_SECONDS)
        await self._kill(*replicas)

    async def bulk(self) -> None:
        replicas = await self._alive("invoices")
        tenant = self._somebody()
        tenant.errands.append(lambda: tenant.bill_many(self.house.bulk))
        async with self.house.owner() as conn:
            await until(lambda: conn.fetchval(IN_LONG_TRANSACTION, "arpilot-invoices"), seconds=AIM_SECONDS)
        await self._kill(*replicas)

    async def bank_file(self) -> None:
        replicas = await self._alive("payments")
        await self._somebody().import_file(IMPORTED_ROWS)
        async with self.house.owner() as conn:
            await until(lambda: conn.fetchval(IN_IMPORT), seconds=AIM_SECONDS)
        await self._kill(*replicas)

    async def match(self) -> None:
        """Invoices has put the money on the invoice, and payments does not hear it."""
        replicas = await self._alive("payments")
        await self._in_match(replicas, "down")

    async def matched(self) -> None:
        """Invoices was told to put money on an invoice, and dies before or while it does."""
        replicas = await self._alive("invoices")
        await self._in_match(replicas, "up")

    async def _in_match(self, victims: list[Replica], direction: str) -> None:
        way = self.house.ways["invoices"]
        gate = way.down if direction == "down" else way.up
        gate.shut()
        for tenant in self.house.tenants:
            tenant.errands.append(tenant.record)
        await gate.has_held(lambda held: b"allocation_id" in held, seconds=AIM_SECONDS)
        way.drop()
        await self._kill(*victims)

    async def _alive(self, name: str) -> list[Replica]:
        """The replicas of a service, once they are able to do what they will be killed at."""
        await self.house.ready(name)
        return self.house.services[name]

    def _somebody(self) -> Tenant:
        return self.dice.choice(self.house.tenants)

    async def _kill(self, *replicas: Replica) -> None:
        self.house.kill(*replicas)
        self.house.heal()
        await asyncio.sleep(self.dice.uniform(0, 0.5))
        self.house.launch(*replicas)
