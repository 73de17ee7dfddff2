"""The README's tour, taken out of the README and pasted into a shell."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def script() -> str:
    """All shell blocks of the tour, in order."""
    text = (ROOT / "README.md").read_text().partition("## A tour in five minutes")[2]
    tour = text.partition("## Where to read on")[0]
    blocks = re.findall(r"```sh\n(.*?)```", tour, re.DOTALL)
    assert len(blocks) > 5
    return "set -u\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n" + "\n".join(blocks)
