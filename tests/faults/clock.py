"""What the clock does to us: the host's time of day jumps, or the hosts of two replicas disagree."""

import asyncio
from collections.abc import Mapping, Sequence

from tests.faults.family import Family, Fault
from tests.faults.house import Replica

SEEN_SECONDS = 1.8
"""Until a process sees the new time (it reads it again each second), and some business under it."""


class Clock(Family):
    """Time of day only; `time.monotonic` does not jump, as the kernel promises."""

    @property
    def faults(self) -> Mapping[str, Fault]:
        return {
            "the clock jumps ahead": lambda: self._jump(self.house.replicas, 3600),
            "the clock jumps back": lambda: self._jump(self.house.replicas, -3600),
            "the clocks of two replicas differ": lambda: self._jump(
                [replicas[0] for replicas in self.house.services.values()], 40
            ),
        }

    async def _jump(self, replicas: Sequence[Replica], seconds: int) -> None:
        for replica in replicas:
            replica.clock.write_text(f"{seconds:+}")
        await asyncio.sleep(SEEN_SECONDS)
        for replica in replicas:
            replica.clock.write_text("+0")
        await asyncio.sleep(SEEN_SECONDS)
