"""start: `make run` once more, until the first answer, and what the process then holds in memory."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import ROUNDS, Row, median
from bench.stage import ROOT, ready
from shared.processes import free_port

IDLE_SECONDS = 3.0
MEGABYTE = 1_000_000


async def start() -> list[Row]:
    """The first start makes the database and is not measured."""
    with tempfile.TemporaryDirectory(prefix="arpilot-bench-") as directory:
        await _started(directory)
        rounds = [await _started(directory) for _ in range(ROUNDS)]
    seconds, memory = median([second for second, _ in rounds]), median([megabytes for _, megabytes in rounds])
    return [
        Row("start", 2, seconds, at_least=False, unit="s", detail="second start until /readyz answers 200"),
        Row("memory", 120, memory, at_least=False, unit="MB", detail="resident, five services in one process, idle"),
    ]


async def _started(directory: str) -> tuple[float, float]:
    """Start and stop; seconds until it was ready, and megabytes of resident memory when idle."""
    port = free_port()
    environ = {**os.environ, "ARPILOT_DATA_DIR": directory, "ARPILOT_PORT": str(port), "ARPILOT_LOG_LEVEL": "warning"}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "run", "all"), cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await ready(f"http://127.0.0.1:{port}")
        seconds = time.perf_counter() - began
        await asyncio.sleep(IDLE_SECONDS)
        return seconds, await asyncio.to_thread(resident_megabytes, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def resident_megabytes(pid: int) -> float:
    """Memory of one process, without its children."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
