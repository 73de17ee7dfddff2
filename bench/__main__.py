"""`make bench`: measure every row of the table in docs/performance.md; `make bench NAME=create` one of them."""

import os
import platform
import sys
import time
from importlib import import_module

import uvloop

ROWS = {
    "create": "creating:create",
    "create-hot": "creating:create_hot",
    "create-idle": "creating:create_idle",
    "get": "reading:get",
    "list": "reading:list_",
    "large": "reading:large",
    "relay": "eventing:relay",
    "lag": "eventing:lag",
    "consume": "eventing:consume",
    "match": "matching:match",
    "dispatch": "dispatching:dispatch",
    "dispatch-dead": "dispatching:dispatch_dead",
    "chain": "dispatching:chain",
    "import": "paying:import_",
    "pdf": "setting:pdf",
    "start": "starting:start",
    "growth": "growing:growth",
}


async def main(names: list[str]) -> int:
    """Measure and print; the exit status says whether every goal was met."""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    met, began = True, time.monotonic()
    for name in names:
        module, _, function = ROWS[name].partition(":")
        for row in await getattr(import_module(f"bench.{module}"), function)():
            print(row.text(), flush=True)
            met = met and row.met
    print(f"measured within {(time.monotonic() - began) / 60:.1f} minutes")
    return 0 if met else 1


if __name__ == "__main__":
    wanted = [name for name in sys.argv[1:] if name]
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        sys.exit(f"There is no {', '.join(unknown)}; there are {', '.join(ROWS)}.")
    sys.exit(uvloop.run(main(wanted or list(ROWS))))
